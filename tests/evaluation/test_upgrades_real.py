"""The release question on real networks and photographs: trained anew, rounded, pruned, of other data, another network.

Run with XAI_EVAL_DATA set: `pytest -m "slow and real" tests/evaluation/test_upgrades_real.py -s`. Without the data
every test here is an error that says so, never a skip.
"""

from pathlib import Path

import pytest

from xai_eval import evaluate
from xai_eval.gate.judge import judge_all
from xai_eval.gate.release.release import Outcome
from xai_eval.gate.run_findings import RunFindingsCollector
from xai_eval.gate.verdict import State
from xai_eval.report.text.release import release_lines
from xai_eval.store.noise import Measured

pytestmark = [pytest.mark.real, pytest.mark.slow]

FACTORIES = """
import torch
from efficientnet_lite import lite0
from factories import imagenet, imagenet_retrained, inat_bird


def changed(change):
    net = imagenet()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.dim() > 1:
                weight.copy_(change(weight))
    return net


def half():
    return imagenet().half().float()


def eight_bits():
    def rounded(weight):
        step = weight.abs().amax(dim=(1, 2, 3) if weight.dim() == 4 else 1, keepdim=True) / 127
        return (weight / step.clamp(min=1e-12)).round() * step

    return changed(rounded)


def pruned():
    return changed(lambda weight: weight * (weight.abs() > weight.abs().flatten().quantile(0.3)))
"""


@pytest.fixture(scope="module")
def run(real_data, tmp_path_factory):
    file = tmp_path_factory.mktemp("nets") / "nets.py"
    folders = [str(real_data / "models"), str(Path(__file__).parents[1] / "models")]
    file.write_text(f"import sys\nsys.path += {folders!r}\n{FACTORIES}")
    known = {}

    def explained(name):
        if name not in known:
            images = str(real_data / "object-masks")
            found = evaluate(
                "cams", model=f"file:{file}:{name}", images=images, device="cpu", methods=["gradcam", "hirescam"]
            )
            known[name] = {each.case.key: each for each in found}
        return known[name]

    return explained


ANSWERS = {
    "half": Outcome.SAME,
    "imagenet_retrained": Outcome.NOT_WORSE,
    "eight_bits": Outcome.NOT_WORSE,
    "pruned": Outcome.WORSE,
    "inat_bird": Outcome.WORSE,
    "lite0": Outcome.NOT_WORSE,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_on_photographs(run, name):
    collector = RunFindingsCollector(Measured({}, ()))
    goldens = {key: each.condensed() for key, each in run("imagenet").items()}
    verdicts = judge_all(run(name), goldens, listener=collector)
    findings = collector.findings()
    print("", *release_lines(findings), sep="\n")
    assert findings.release.outcome is ANSWERS[name]
    assert findings.covered == len(verdicts) == 11, "each image has found its golden, also under another layer"
    assert {each.state for each in verdicts} <= {State.OK, State.DRIFT}
    assert not [f for each in verdicts for f in each.findings if f.field == "stages"], "no stage is an accident"
