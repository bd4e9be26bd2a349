"""Tolerances of the user: which fields take which, and where they end."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from synthetic import make_result

from xai_eval.errors import UsageError
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import KINDS, Heatmap, HeatmapTolerance, Label, Mask, Score, SeedTolerance, Table, Weights
from xai_eval.result.result import RAISED_TOLERANCES
from xai_eval.result.tolerances import tolerated_parts, unknown_tolerance, with_tolerances

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
FIELDS = {
    "map": Heatmap(RAMP, HeatmapTolerance(largest=0.02)),
    "mask": Mask(RAMP > 0.5),
    "score": Score(0.5, 0.01),
    "weights": Weights(("a",), np.ones((1, 3)), np.ones((1, 3)), SeedTolerance(0.02, 5, 3.0, 2.0)),
    "table": Table(pd.DataFrame({"method": ["a"], "x": [1.0], "y": [2.0]}), {"x": 0.1}),
    "label": Label("cat", 0),
}


@pytest.fixture
def result():
    return dataclasses.replace(make_result(), fields=FIELDS)


def test_a_tolerance_is_replaced_and_all_else_is_kept(result):
    changed = with_tolerances(
        result,
        {
            "map": {"top": 0.5},
            "mask": {"least_iou": 0.6},
            "score": 0.2,
            "weights": {"floor": 0.1},
            "table": {"y": 0.3},
            "of another result": 3.0,
        },
    )
    assert changed["map"].tolerance == HeatmapTolerance(largest=0.02, top=0.5)
    assert changed["mask"].least_iou == 0.6
    assert changed["score"] == Score(0.5, 0.2)
    assert changed["weights"].tolerance == SeedTolerance(0.1, 5, 3.0, 2.0)
    assert changed["table"].tolerance == {"x": 0.1, "y": 0.3}
    assert changed["table"].frame.equals(result["table"].frame)
    np.testing.assert_array_equal(changed["map"].array, RAMP)
    assert result["score"].tolerance == 0.01 and result["map"].tolerance.top == 0.75, "the result itself is unchanged"
    assert list(changed.fields) == list(result.fields)


def test_what_was_tightened_fails_and_what_was_loosened_does_not(result):
    moved = dataclasses.replace(result, fields={**FIELDS, "score": Score(0.505, 0.01)})
    assert judge(moved, result).state is State.OK
    assert judge(with_tolerances(moved, {"score": 0.001}), result).state is State.DRIFT
    far = dataclasses.replace(result, fields={**FIELDS, "score": Score(0.6, 0.01)})
    assert judge(far, result).state is State.DRIFT
    assert judge(with_tolerances(far, {"score": 0.2}), result).state is State.OK
    # The tolerance of a golden decides nothing.
    assert judge(far, with_tolerances(result, {"score": 9.0})).state is State.DRIFT


WRONG = {
    "above the cap of a map": ({"map": {"largest": 0.2501}}, "tolerances.cams.map: the tolerance of the largest"),
    "above the cap of a mask": ({"mask": {"least_iou": 0.49}}, "tolerances.cams.mask: the tolerance of the 1 - IoU"),
    "strict kind": ({"label": 1.0}, "tolerances.cams.label is a label, which has no tolerance"),
    "number for a table": ({"map": 0.1}, "map is a number; expected a table with some of largest, rank, top, moved"),
    "number for a mask": ({"mask": 0.9}, "mask is a number; expected a table with some of least_iou"),
    "table for a number": ({"score": {"value": 1.0}}, "tolerances.cams.score is a table; expected a number (score)."),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_field_does_not_take_is_refused(result, name):
    given, sentence = WRONG[name]
    with pytest.raises(UsageError) as refused:
        with_tolerances(result, given)
    assert sentence in str(refused.value)


def test_a_tolerance_may_equal_its_cap(result):
    found = with_tolerances(result, {"map": {"largest": 0.25}, "mask": {"least_iou": 0.5}})
    assert (found["map"].tolerance.largest, found["mask"].least_iou) == (0.25, 0.5)


def test_a_name_that_no_result_has_is_named_with_the_nearest(result):
    known = tolerated_parts(result)
    assert unknown_tolerance("cams", {"map": {"top": 0.5}, "score": 1.0}, known) is None
    assert "unknown field in tolerances.cams 'mop'. Did you mean map" in str(
        unknown_tolerance("cams", {"mop": 1}, known)
    )
    text = str(unknown_tolerance("cams", {"table": {"z": 1.0}}, known))
    assert "unknown name in tolerances.cams.table 'z'. Known: x, y." in text
    assert "seeds" not in known["weights"], "a number of seeds is no tolerance"


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "label"])
def test_every_kind_with_a_tolerance_takes_back_its_own(result, name):
    field = FIELDS[name]
    own = getattr(field, field.tolerance_attribute)
    parts = tolerated_parts(result)[name]
    given = own if not parts else {"least_iou": own} if name == "mask" else None
    if given is None:
        given = dict(own) if isinstance(own, dict) else {part: getattr(own, part) for part in parts}
    again = with_tolerances(result, {name: given})
    assert again[name].distances(field) == field.distances(field)


def test_the_kinds_here_are_examples_of_all_ways_to_hold_a_tolerance():
    held = {kind.tolerance_attribute for kind in KINDS.values()}
    assert held == {FIELDS["map"].tolerance_attribute, FIELDS["mask"].tolerance_attribute}


def test_a_raised_tolerance_is_recorded_and_a_lowered_one_is_not(result):
    lowered = with_tolerances(result, {"score": 0.001, "map": {"rank": 0.5}})
    assert lowered.provenance == result.provenance
    raised = with_tolerances(result, {"score": 0.001, "map": {"largest": 0.1}})
    assert raised.provenance.parameters[RAISED_TOLERANCES] == {"map": {"largest": 0.1}}
    assert with_tolerances(raised, {"map": {"largest": 0.1}}).provenance == raised.provenance, (
        "given twice, as by pytest"
    )
    assert with_tolerances(result, {}).provenance == result.provenance
