"""Heatmaps of any range: which are judged by their own, how they are kept and drawn, and what is no heatmap."""

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import TOLERANCE, blob, make_case

from xai_eval.errors import UsageError
from xai_eval.report.drawing.pixels import overlay
from xai_eval.result.fields import Heatmap, Score
from xai_eval.result.result import Result
from xai_eval.store.goldens import Goldens

GOLDENS = Path(__file__).parents[2] / "golden"
SPOT = blob(10, 20, size=90, width=25)


def test_no_bundled_golden_is_judged_by_another_range_than_before():
    results, broken = Goldens(GOLDENS).load_all()
    maps = [each for result in results.values() for each in result.of_kind(Heatmap).values()]
    assert len(maps) > 100 and not broken
    assert {each.own_range for each in maps} == {None}


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 0.4, 3.0, 1e6], ids=str)
def test_a_map_of_another_range_is_kept_and_drawn_by_its_own(factor):
    heat = Heatmap(SPOT * np.float32(factor), TOLERANCE)
    assert heat.own_range == pytest.approx(factor * SPOT.max())
    golden = heat.condensed()
    usual = Heatmap(SPOT, TOLERANCE).condensed()
    assert golden.array.dtype == np.float32 and usual.array.dtype == np.float16
    assert np.abs(golden.array / factor - usual.array.astype(np.float32)).max() < 1e-3
    assert golden.own_range == golden.array.max()
    assert np.abs(overlay(None, heat.shown).astype(int) - overlay(None, SPOT / SPOT.max())).max() <= 1


def test_a_little_change_of_a_tiny_map_is_none():
    was = Heatmap(SPOT * np.float32(1e-3), TOLERANCE)
    inside, outside = (Heatmap((SPOT + np.float32(by)) * np.float32(1e-3), TOLERANCE) for by in (0.01, 0.05))
    assert not inside.compare(was, "map") and outside.compare(was, "map")
    (distance,) = outside.distances(was)
    assert distance.value == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.9])
def test_a_map_near_the_usual_range_is_compared_as_it_is(factor):
    was, now = (Heatmap((SPOT / SPOT.max() + by) * factor, TOLERANCE) for by in (0.0, -0.005))
    assert was.own_range is None
    (distance,) = now.distances(was)
    assert distance.value == pytest.approx(0.005 * factor, rel=1e-4)


@pytest.mark.parametrize(
    "array, told",
    [
        (torch.ones(3, 4), r"Tensor of shape \(3, 4\) and type torch.float32"),
        (np.ones((3, 4, 5)), r"ndarray of shape \(3, 4, 5\) and type float64"),
        (np.ones((3, 4), int), "ndarray .* and type int64"),
        ([[0.5]], "list; expected a numpy array of floats"),
    ],
    ids=["tensor", "channels", "integers", "list"],
)
def test_what_is_no_heatmap_is_refused_where_it_is_made(array, told):
    with pytest.raises(UsageError, match=f"a Heatmap got a {told}"):
        Heatmap(array, TOLERANCE)


@pytest.mark.parametrize(
    "value", [np.ones((2, 2)), torch.ones(2, 2), 0.5, None], ids=["array", "tensor", "number", "none"]
)
def test_a_result_takes_nothing_but_fields(value):
    with pytest.raises(UsageError, match=r"the field 'map' is of type \w+; expected a kind of field. Wrap it: "):
        Result(make_case(), {"share": Score(0.5, 0.1), "map": value})
