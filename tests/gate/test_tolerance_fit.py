import math

import numpy as np
import pandas as pd
import pytest
from synthetic import make_case

from xai_eval.gate.judge import judge
from xai_eval.gate.systemic import Compared
from xai_eval.gate.tolerance_fit import Fit, measurements_of, notes_among
from xai_eval.result.fields import Mask, Score, Table
from xai_eval.result.result import Result
from xai_eval.store.noise import Noise

BLOCK = np.pad(np.ones((10, 10), bool), 10)


def one(field, moved_by, *, measure="difference", name="a.jpg"):
    result = Result(make_case(name), {"it": field})
    noise = None if moved_by is None else Noise("a" * 64, {"it": {measure: {"1 thread": 0.0, "float64": moved_by}}})
    return Compared(result, result, judge(result, result), noise)


def notes(*compared):
    return notes_among(map(measurements_of, compared))


@pytest.mark.parametrize(
    "tolerance, floor, fit",
    [
        (0.1, 0.2, Fit.TOO_TIGHT),
        (0.1, 0.05, None),
        (0.1, 0.0051, None),
        (0.1, 0.0049, Fit.GENEROUS),
        (0.1, 0.0, Fit.GENEROUS),
        (0.0, 0.0, None),
        (0.0, 1e-9, Fit.TOO_TIGHT),
        (0.1, math.inf, Fit.TOO_TIGHT),
        (0.1, None, None),
    ],
)
def test_a_number_has_no_cap(tolerance, floor, fit):
    assert [note.fit for note in notes(one(Score(1.0, tolerance), floor))] == ([fit] if fit else [])


@pytest.mark.parametrize(
    "least_iou, floor, fit",
    [(0.9, 0.05, None), (0.9, 0.2, Fit.TOO_TIGHT), (0.9, 0.6, Fit.UNGATEABLE), (0.3, 0.45, Fit.TOO_LOOSE)],
)
def test_a_mask_has_one(least_iou, floor, fit):
    found = notes(one(Mask(BLOCK, least_iou), floor, measure="1 - IoU"))
    assert [note.fit for note in found] == ([fit] if fit else [])


def test_a_floor_above_the_cap_says_why():
    (note,) = notes(one(Mask(BLOCK, 0.9), 0.6, measure="1 - IoU"))
    assert note.sentence == (
        f"it of cams on file:nets.py:net, 1 - IoU: in {make_case('a.jpg').key}, a drift cannot be told from noise: "
        "computing in double precision, which is no drift, moves it by 0.6, and a tolerance above 0.5 would let any "
        "explanation pass. Make the explanation steadier (more samples or seeds), or put the case in quarantine."
    )


def test_a_tolerance_can_be_tightened_only_if_every_case_has_room():
    quiet, loud = one(Score(1.0, 0.1), 0.001), one(Score(1.0, 0.1), 0.05, name="b.jpg")
    assert [note.fit for note in notes(quiet)] == [Fit.GENEROUS]
    assert notes(quiet, loud) == ()


def test_one_note_for_all_cases_names_the_worst():
    (note,) = notes(*(one(Score(1.0, 0.1), by, name=f"{by}.jpg") for by in (0.2, 0.4, 0.3, 0.01)))
    assert (note.cases, note.case, note.noise.value) == (3, make_case("0.4.jpg").key, 0.4)


def test_the_worst_comes_first_and_columns_are_told_apart():
    frame = pd.DataFrame({"key": ["a"], "x": [0.5], "y": [0.5]})
    result = Result(make_case(), {"t": Table(frame, {"x": 0.1, "y": 0.1}), "m": Mask(BLOCK)})
    distances = {"t": {"x": {"float64": 0.0}, "y": {"float64": 0.2}}, "m": {"1 - IoU": {"float64": 0.7}}}
    found = notes(Compared(result, result, judge(result, result), Noise("a" * 64, distances)))
    assert [(note.fit, note.measure) for note in found] == [
        (Fit.UNGATEABLE, "1 - IoU"),
        (Fit.TOO_TIGHT, "y"),
        (Fit.GENEROUS, "x"),
    ]
