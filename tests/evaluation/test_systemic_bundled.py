"""Over the bundled scenes: benign changes alarm nobody, and a fault that no single scene shows is found."""

import dataclasses

import pytest
import torch

from xai_eval import evaluate, load_model
from xai_eval.gate.judge import judge
from xai_eval.gate.run_findings import run_findings_of
from xai_eval.gate.stage_table import ON_CPU
from xai_eval.gate.verdict import State
from xai_eval.result.stage import StageKind
from xai_eval.run.benign_changes import BENIGN_CHANGES
from xai_eval.store.noise import Measured
from xai_eval.tasks import cam_results

BENIGN = {condition.name: condition for condition in BENIGN_CHANGES if not condition.params}
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
    return verdicts, run_findings_of(results, plain, verdicts, Measured({}, ()))


def without_trials(result):
    kept = {stage: each for stage, each in result.stages.items() if stage.kind is not StageKind.TRIAL}
    return dataclasses.replace(result, stages=kept)


@pytest.mark.parametrize("name", BENIGN)
def test_benign_changes_alarm_nobody(name, model, plain):
    with BENIGN[name].context():
        verdicts, run_findings = judged(BENIGN[name].variant(model), plain)
    assert {verdict.state for verdict in verdicts} == {State.OK}
    assert run_findings.systemic == ()


def test_a_library_that_is_a_little_off_is_found_over_all_scenes(model, plain, monkeypatch):
    """By so little that no stage of a single scene shows it: logits a sixty-seventh of a percent too large."""
    stock = torch.nn.Linear.forward
    monkeypatch.setattr(torch.nn.Linear, "forward", lambda self, x: 1.00015 * stock(self, x))
    monkeypatch.setattr(cam_results, "cam_trials", lambda _methods: {})  # they show it in each scene
    verdicts, run_findings = judged(model, {key: without_trials(each) for key, each in plain.items()})
    assert {verdict.state for verdict in verdicts} == {State.OK}
    found = {each.what: each for each in run_findings.systemic}
    assert found["stage logits"].one_way == 12 and 1e-4 < found["stage logits"].change < ON_CPU
