"""The command line and pytest judge an upgrade alike, by the policy of the configuration file."""

import dataclasses
import json

import numpy as np
import pytest
from plugin_suite import HEADER
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import RunRecord

# Rounded weights: on record, the logits moved a little, and every field held.
UPGRADED = "make_result('one.jpg', weights='c' * 64, stages={Stage(StageKind.LOGITS): 1.001 * np.linspace(-1, 3, 10)})"
IMPORTS = "import numpy as np\nfrom xai_eval.result.stage import Stage, StageKind\n"


@pytest.fixture
def repo(pytester, monkeypatch):
    """A golden; a test and a run that give the same explanation from other weights."""
    monkeypatch.delenv("CI", raising=False)
    Goldens(pytester.path / "golden").store(make_result("one.jpg"), "looked")
    pytester.makepyfile(f"{HEADER}{IMPORTS}def test_one(xai_golden): xai_golden.check({UPGRADED})\n")
    obtained = make_result("one.jpg", weights="c" * 64)
    logits = {Stage(StageKind.LOGITS): fingerprint_array(1.001 * np.linspace(-1, 3, 10))}
    obtained = dataclasses.replace(obtained, stages={**obtained.stages, **logits})
    obtained.save(pytester.path / "run" / "results" / obtained.case.key)
    RunRecord(("cams",), ("m",), ("photos",), 1, finished=True).save(pytester.path / "run")
    monkeypatch.chdir(pytester.path)
    return pytester


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ("", "ok"),
        ('weights = "explanation"', "ok"),
        ('weights = "stages"', "drift"),
        ('weights = "incomparable"', "incomparable"),
    ],
)
def test_both_doors_judge_by_the_policy_of_the_file(repo, capsys, policy, state):
    (repo.path / "xai_eval.toml").write_text(f"[upgrades]\n{policy}\n")
    assert main(["check", "run", "--json"]) == (0 if state == "ok" else 1)
    [verdict] = json.loads(capsys.readouterr().out)["verdicts"]
    assert verdict["state"] == state
    found = repo.runpytest()
    found.assert_outcomes(passed=int(state == "ok"), failed=int(state != "ok"))
    assert verdict["sentence"] in found.stdout.str() or state == "ok"
    [judged] = json.loads((repo.path / "reports" / "verdicts.json").read_text())["verdicts"]
    assert (judged["state"], judged["sentence"]) == (state, verdict["sentence"])


def test_an_upgrade_that_held_is_told_and_its_comparison_is_accepted(repo, capsys):
    assert main(["check", "run"]) == 0
    told = capsys.readouterr().out
    assert "upgrade  The explanation is the same." in told
    assert "cams on file:nets.py:net: of 1 image, 0 moved beyond a limit; 1 have the same class" in told
    assert main(["accept", "--all", "--results", "run", "--reason", "rounded to half"]) == 0
    assert main(["log", "one.jpg"]) == 0
    logged = capsys.readouterr().out
    assert "rounded to half" in logged and "upgrade of the whole set: The explanation is the same" in logged
    [first, last] = json.loads(next((repo.path / "golden").rglob("accepted.json")).read_text())
    assert "upgrade" not in first and last["upgrade"].startswith("The explanation is the same")
    assert main(["check", "run"]) == 0
    assert "upgrade" not in capsys.readouterr().out
