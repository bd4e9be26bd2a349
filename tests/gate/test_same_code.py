"""Fields may not differ at all where every stage is the same in every bit, and where nothing else was recorded."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval import judge
from xai_eval.gate.verdict import State
from xai_eval.result.class_list import CLASS_LIST, class_list, moved_classes
from xai_eval.result.fields import Label, Table, Tally
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K

STAGES = {Stage(kind): fingerprint_array(np.arange(300.0)) for kind in (K.INPUT_TENSOR, K.LOGITS)}
VERSIONS = {"torch": "2.11.0", "xai-eval": "1.0"}
NAMES = ("cat", "dog", "fish", "kite")


def result(table, stages=STAGES, versions=VERSIONS, names=NAMES, task="cams"):
    found = make_result()
    provenance = dataclasses.replace(
        found.provenance, versions=versions, parameters={CLASS_LIST: class_list(names, None)}
    )
    case = dataclasses.replace(found.case, task=task)
    return dataclasses.replace(found, case=case, fields={"table": table}, stages=stages, provenance=provenance)


def table(share=0.5, count=7, text="sky", seconds=1.0, kind=Table):
    frame = pd.DataFrame({"row": ["a", "b"], "share": [share, 0.9], "units": [count, 3]})
    if kind is Tally:
        return Tally(frame, {"share": 0.1, "units": 2.0})
    reading = frame.assign(focus=[text, "sea"], seconds=[seconds, 2.0])
    return Table(reading, {"share": 0.1, "units": 2.0}, unjudged=("focus", "seconds"))


@pytest.mark.parametrize("kind", [Table, Tally])
@pytest.mark.parametrize("changed", [{"count": 8}, {"share": 0.51}])
def test_what_is_within_its_tolerance_fails_if_no_stage_moved(kind, changed):
    golden = result(table(kind=kind))
    verdict = judge(result(table(**changed, kind=kind)), golden)
    assert verdict.state is State.DRIFT and verdict.origin.stage.kind == K.MEASURES
    assert "the same in every bit" in verdict.sentence


def test_a_stage_that_moved_by_rounding_leaves_the_tolerance_in_force():
    moved = {stage: fingerprint_array(np.arange(300.0) * (1 + 1e-6)) for stage in STAGES}
    assert judge(result(table(count=8), stages=moved), result(table())).state is State.OK


@pytest.mark.parametrize("versions", [{**VERSIONS, "xai-eval": "1.1"}, {"torch": "2.11.0"}])
def test_it_does_not_matter_which_version_the_golden_claims(versions):
    assert judge(result(table(count=8)), result(table(), versions=versions)).state is State.DRIFT


def test_tasks_of_users_are_judged_by_tolerances():
    assert judge(result(table(count=8), task="my task"), result(table(), task="my task")).state is State.OK


def test_what_is_only_for_reading_is_held_but_times_are_not():
    golden = result(table().condensed())
    assert judge(result(table(text="grass")), golden).state is State.DRIFT
    assert judge(result(table(seconds=9.0)), golden).state is State.OK
    before = dataclasses.replace(golden, fields={"table": table().without(("focus", "seconds"))})  # kept no digest
    assert judge(result(table(text="grass")), before).state is State.OK


@settings(max_examples=40)
@given(share=st.floats(0.01, 0.99), rounding=st.floats(-1e-5, 1e-5))
def test_rounding_is_no_other_code(share, rounding):
    assert judge(result(table(share=share + rounding)), result(table(share=share))).state is State.OK


@given(st.permutations(NAMES))
def test_classes_that_change_places_fail_and_are_placed_at_the_target(names):
    stages = {**STAGES, Stage(K.TARGET): fingerprint_array(np.ones(3))}
    verdict = judge(result(table(), stages, names=tuple(names)), result(table(), stages))
    assert (verdict.state is State.DRIFT) == (tuple(names) != NAMES)
    if verdict.failed:
        assert verdict.origin.stage.kind == K.TARGET


def test_a_class_that_is_called_otherwise_has_not_moved():
    now, was = class_list(("cat", "hound", "fish"), None), class_list(("cat", "dog", "fish"), None)
    assert moved_classes(now, was) == []
    assert moved_classes(class_list(NAMES, None), class_list(NAMES[:3], None)) == []
    ids = ("n1", "n2", "n3", "n4")
    assert moved_classes(class_list(("dog", "cat", "fish", "kite"), ids), class_list(NAMES, ids)) == [0, 1]


def test_a_prediction_that_is_told_wrongly_is_placed_at_the_target():
    stages = {**STAGES, Stage(K.TARGET): fingerprint_array(np.ones(3))}
    golden = dataclasses.replace(result(table(), stages), fields={"predicted": Label("cat", 0)})
    told = dataclasses.replace(golden, fields={"predicted": Label("dog", 1)})
    assert judge(told, golden).origin.stage.kind == K.TARGET
