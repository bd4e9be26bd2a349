"""Where a drift began: which stages are named, and which of them tell a drift that no field shows."""

import dataclasses

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Severity
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text

VALUES = np.linspace(-1.0, 1.0, 300)
WORD = fingerprint_text("as it was")


def results(stage, change, **provenance):
    """The same result twice, but for one stage that moved by a relative change, or is another text."""
    golden = make_result(stages={"input tensor": VALUES})
    before = WORD if change is None else fingerprint_array(VALUES)
    after = fingerprint_text("as it is now") if change is None else fingerprint_array(VALUES * (1 + change))
    # On the CPU and the same seed unless said otherwise.
    now = dataclasses.replace(golden.provenance, **provenance)
    return (
        dataclasses.replace(golden, stages={**golden.stages, stage: after}, provenance=now),
        dataclasses.replace(golden, stages={**golden.stages, stage: before}),
    )


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("decoded pixels", 1e-6),
        ("input tensor", 2e-4),
        ("view", 2e-4),
        ("model state: hooks", None),
        ("layer activations", 1e-3),
        ("logits", 1e-3),
        ("segments", 1e-6),
        ("samples", 1e-6),
        ("perturbed predictions", 1e-3),
        ("perturbed predictions felzenszwalb", 1e-3),
        ("weights", 1e-3),
        ("weights of other classes", 1e-3),
        ("surrogates", 1e-3),
        ("concept masks", 1e-6),
        ("raw map gradcam", 1e-3),
        ("raw map ablationcam", 4e-3),
        ("final map several_scales", 1e-3),
        ("layer4 similarity", 1e-3),
        ("layer4 overlap", 3e-2),
        ("scenes:objects layer4 activations", 1e-3),
    ],
)
def test_a_stage_that_moved_is_a_drift_though_every_field_held(stage, change):
    verdict = judge(*results(stage, change))
    assert verdict.state is State.DRIFT and verdict.severity is Severity.NUMBERS
    assert verdict.origin.name == stage
    assert verdict.findings[0].measure == stage


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("input tensor", 1e-6),
        ("layer activations", 3e-5),
        ("logits", 3e-5),
        ("weights", 3e-5),
        ("raw map gradcam", 3e-5),
        ("raw map ablationcam", 1e-3),
        ("final map lime", 3e-5),
        ("layer4 similarity", 3e-5),
        ("layer4 overlap", 3e-3),
    ],
)
def test_rounding_is_no_drift_and_has_no_name(stage, change):
    verdict = judge(*results(stage, change))
    assert verdict.state is State.OK and verdict.origin is None


@pytest.mark.parametrize("stage", ["target", "clip_units labels", "layer4 top images"])
def test_what_fields_judge_better_is_named_only(stage):
    verdict = judge(*results(stage, None))
    assert verdict.state is State.OK and verdict.origin.name == stage


@pytest.mark.parametrize("stage", ["samples", "perturbed predictions", "weights", "raw map randomcam"])
def test_what_is_drawn_may_differ_under_another_seed(stage):
    assert judge(*results(stage, 0.5, seed=7)).state is State.OK
    assert judge(*results(stage, 0.5)).state is State.DRIFT


@pytest.mark.parametrize(
    ("stage", "change", "state"),
    [
        ("layer activations", 1e-2, State.OK),
        ("layer activations", 5e-2, State.DRIFT),
        ("raw map gradcam", 5e-2, State.OK),
        ("perturbed predictions", 5e-2, State.OK),
        ("input tensor", 1e-3, State.DRIFT),
        ("decoded pixels", 1e-3, State.DRIFT),
    ],
)
def test_between_devices_the_network_may_round_but_its_input_may_not(stage, change, state):
    assert judge(*results(stage, change, device="NVIDIA H100")).state is state


def test_a_golden_that_lacks_a_stage_still_compares():
    obtained, golden = results("view", 0.5)
    older = dataclasses.replace(golden, stages={k: v for k, v in golden.stages.items() if k != "view"})
    assert judge(obtained, older).state is State.OK


def test_a_stage_that_is_gone_has_moved():
    obtained, golden = results("view", 0.0)
    poorer = dataclasses.replace(obtained, stages={k: v for k, v in obtained.stages.items() if k != "view"})
    verdict = judge(poorer, golden)
    assert verdict.state is State.DRIFT and verdict.origin.name == "view"


def test_where_all_stages_held_what_is_measured_changed():
    golden = make_result(stages={"final map gradcam": VALUES})
    obtained = make_result(saliency=blob(150, 40), stages={"final map gradcam": VALUES})
    verdict = judge(obtained, golden)
    assert verdict.state is State.DRIFT and verdict.origin.name == "measures"
    assert "The measures moved first;" in verdict.sentence


def test_a_case_that_cannot_be_compared_says_where_it_began():
    obtained = make_result(image="d" * 64, stages={"decoded pixels": np.arange(12.0) + 1})
    verdict = judge(obtained, make_result())
    assert verdict.state is State.INCOMPARABLE and verdict.origin.name == "image bytes"
