"""Golden values that rounding could have given are no change; what is farther away is one, whatever a golden claims."""

import math

import numpy as np
import pandas as pd
import pytest

from xai_eval.result.fields import Curve, Label, Mask, Score, Table
from xai_eval.result.fields.possible import WIDEST, Possible, nearest

FRAME = pd.DataFrame({"method": ["a", "b"], "hit": [True, False], "iou": [0.5, 0.2], "said": ["same", "other"]})
ALSO = {"hit": (Possible(0, 1), None), "iou": (Possible(0.4, 0.6), None), "said": (("other", "none"), ())}
UNDECIDED = np.zeros((4, 4), dtype=bool)
UNDECIDED[0, :3] = True
MASK = np.zeros((4, 4), dtype=bool)
MASK[0, 0] = MASK[2] = True
OTHER_MASK = MASK.copy()
OTHER_MASK[0, :3] = (False, True, True)
FAR_MASK = MASK.copy()
FAR_MASK[3] = True


def frame(**cells):
    return FRAME.assign(**cells)


def curve(values, also=None):
    return Curve(np.arange(2.0), {"line": np.array(values)}, "x", "y", 0.05, also or {})


FIELDS = {
    "score": (Score(0.54, 0.05, Possible(0.42, 0.6)), Score(0.43, 0.05), Score(0.3, 0.05)),
    "label": (Label("same", possible=("other",)), Label("other"), Label("elsewhere")),
    "mask": (Mask(MASK, 0.9, UNDECIDED), Mask(OTHER_MASK, 0.9), Mask(FAR_MASK, 0.9)),
    "curve": (
        curve([0.5, 0.5], {"line": (Possible(0.4, 0.6), Possible(0.5, 0.5))}),
        curve([0.4, 0.5]),
        curve([0.5, 0.4]),
    ),
    "yes or no": (Table(FRAME, possible=ALSO), Table(frame(hit=[False, False])), Table(frame(hit=[True, True]))),
    "cell": (Table(FRAME, possible=ALSO), Table(frame(iou=[0.6, 0.2])), Table(frame(iou=[0.61, 0.2]))),
    "text": (
        Table(FRAME, possible=ALSO),
        Table(frame(said=["none", "other"])),
        Table(frame(said=["same", "none"])),
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_what_was_possible_is_no_change_and_everything_else_is(name):
    now, tied, other = FIELDS[name]
    assert not now.compare(tied, "field") and now.compare(other, "field")
    # Without ties, both are changes.
    assert now.condensed().compare(tied, "field") and now.condensed().compare(other, "field")


@pytest.mark.parametrize("name", FIELDS)
def test_what_a_golden_claims_to_be_possible_has_no_effect(name):
    now, tied, _ = FIELDS[name]
    assert tied.compare(now, "field")


@pytest.mark.parametrize("name", FIELDS)
def test_it_is_stored_with_a_run_and_not_with_a_golden(name):
    now, tied, _ = FIELDS[name]
    kind = type(now)
    assert not kind.restore(now.meta(), now.arrays()).compare(tied, "field")
    golden = now.condensed()
    assert "possible" not in golden.meta() and "undecided" not in golden.arrays()
    assert kind.restore(golden.meta(), golden.arrays()).compare(tied, "field")


def test_no_range_excuses_more_than_the_cap():
    wide = Possible(-1.0, 1.0)
    assert nearest(0.5, wide, 0.9) == 0.5 + WIDEST
    assert Score(0.5, 0.05, wide).compare(Score(0.5 - WIDEST - 0.06, 0.05), "field")
    everywhere = np.ones((4, 4), dtype=bool)
    assert Mask(MASK, 0.9, everywhere).compare(Mask(OTHER_MASK, 0.9), "field")


def test_nan_and_a_range_that_leaves_the_value_out_excuse_nothing():
    assert math.isnan(nearest(math.nan, Possible(0.0, 1.0), 0.5))
    assert nearest(0.5, Possible(math.nan, math.nan), 0.4) == 0.5
    assert nearest(0.5, Possible(0.6, 0.7), 0.65) == 0.5
    assert Score(0.5, 0.05, Possible(0.4, 0.6)).compare(Score(math.nan, 0.05), "field")


def test_a_tie_is_no_trend():
    """Many cases that move in one direction are an alarm of their own; what rounding decided is no movement."""
    assert [shift.change for shift in FIELDS["score"][0].shifts(FIELDS["score"][1])] == [0.0]
    assert all(shift.change == 0.0 for shift in FIELDS["mask"][0].shifts(FIELDS["mask"][1]))
