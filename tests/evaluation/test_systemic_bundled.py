"""Over the bundled scenes: benign changes alarm nobody, and a fault that no single scene shows is found."""

import pytest

from xai_eval import evaluate, load_model
from xai_eval.calibration import CONDITIONS
from xai_eval.drift import STAGE_TOLERANCE, State, judge
from xai_eval.overall import Measured, look_over

BENIGN = {condition.name: condition for condition in CONDITIONS if not condition.params}
METHODS = {"methods": ["gradcam"], "device": "cpu"}


@pytest.fixture(scope="module")
def model():
    return load_model("scenes:objects", device="cpu")


@pytest.fixture(scope="module")
def plain(model):
    return {result.case.key: result.condensed() for result in evaluate("cams", model=model, **METHODS)}


def judged(model, plain):
    results = {result.case.key: result for result in evaluate("cams", model=model, **METHODS)}
    verdicts = [judge(result, plain[key]) for key, result in results.items()]
    return verdicts, look_over(results, plain, verdicts, Measured({}, ()))


@pytest.mark.parametrize("name", BENIGN)
def test_benign_changes_alarm_nobody(name, model, plain):
    with BENIGN[name].surroundings():
        verdicts, overall = judged(BENIGN[name].variant(model), plain)
    assert {verdict.state for verdict in verdicts} == {State.OK}
    assert overall.systemic == ()


def test_inputs_that_are_a_little_too_bright_are_found_over_all_scenes(model, plain):
    brighter = BENIGN["channels last"].variant(model)  # a copy, to be spoilt
    brighter.module.register_forward_pre_hook(lambda _module, inputs: (inputs[0] + 0.004,))
    verdicts, overall = judged(brighter, plain)
    assert {verdict.state for verdict in verdicts} == {State.OK}
    found = {each.what: each for each in overall.systemic}
    assert found["stage logits"].one_way == 12 and 1e-4 < found["stage logits"].change < STAGE_TOLERANCE
