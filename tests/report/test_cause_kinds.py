from __future__ import annotations

import dataclasses

import pytest

from xai_eval.gate.changes import ChangeKind
from xai_eval.gate.judge import judge, missing
from xai_eval.gate.verdict import State, cause_kinds
from xai_eval.result.result import Provenance

BEFORE = Provenance(
    digests={"weights": "a" * 64, "image": "b" * 64},
    parameters={"preprocessing": {"resize": 256}},
    versions={"torch": "2.6"},
    precision={"mkldnn": "on"},
)
CHANGES = {
    "weights": {"digests": {"weights": "c" * 64, "image": "b" * 64}},
    "input": {"digests": {"weights": "a" * 64, "image": "c" * 64}},
    "version": {"versions": {"torch": "2.15"}},
    "parameter": {"parameters": {"preprocessing": {"resize": 224}}},
    "seed": {"seed": 3},
    "device": {"device": "cuda"},
    "precision": {"precision": {"mkldnn": "off"}},
    "nothing recorded": {},
}


def judged(build, **changes):
    was = dataclasses.replace(build.result(), provenance=BEFORE)
    moved = build.result(gradcam=build.heat(build.spot(0.8, 0.8)))
    return judge(dataclasses.replace(moved, provenance=dataclasses.replace(BEFORE, **changes)), was)


@pytest.mark.parametrize("cause", CHANGES)
def test_every_change_has_its_kind(build, cause):
    verdict = judged(build, **CHANGES[cause])
    assert verdict.state is State.DRIFT
    assert cause_kinds(verdict) == (ChangeKind(cause),)


def test_several_changes_are_several_causes(build):
    assert cause_kinds(judged(build, **CHANGES["weights"], **CHANGES["version"])) == (
        ChangeKind.WEIGHTS,
        ChangeKind.VERSION,
    )


def test_a_replaced_model_is_weights_and_a_changed_experiment_its_parameters(build):
    was, now = build.result(), build.result(model="other", gradcam=build.heat(build.spot(0.8, 0.8)))
    assert cause_kinds(judge(now, was)) == (ChangeKind.WEIGHTS,)
    asked = dataclasses.replace(was, case=dataclasses.replace(was.case, params={"target": "intended"}))
    assert cause_kinds(judge(asked, was)) == (ChangeKind.PARAMETER,)


def test_what_did_not_drift_has_no_cause(build):
    was = build.result()
    assert cause_kinds(judge(dataclasses.replace(was, provenance=Provenance(versions={"torch": "9"})), was)) == ()
    assert cause_kinds(missing(was.case)) == ()
