"""Whatever unit a map has, it and its golden are judged as if both were in another one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.result.bare.bare_fields import fields_of
from xai_eval.result.fields import Heatmap, HeatmapTolerance, SignedMap

# Powers of two change no digit of a float, so that nothing but the rule itself can tell the two apart.
FACTORS = st.integers(-60, 60).map(lambda power: 2.0**power)
SIDES = st.integers(4, 70)


@st.composite
def pairs(draw, least):
    """A map, and another one that differs a little, a lot or not at all."""
    shape = draw(st.tuples(SIDES, SIDES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    was = np.round(rng.uniform(least, 1, shape), 3)
    was.flat[draw(st.integers(0, was.size - 1))] = 1.0
    now = draw(st.sampled_from([was, was[::-1], was * 0.99, np.round(rng.uniform(least, 1, shape), 3)]))
    return now.astype(np.float32), was.astype(np.float32)


def outcome(field, golden, *, condensed):
    """What people read, without the numbers that have a unit."""
    found = field.compare(golden.condensed() if condensed else golden, "map")
    return [(each.severity, each.measure, round(each.value or 0.0, 3)) for each in found]


def bare(array):
    return fields_of(array, "map", "check")["map"]


def heatmap(array):
    return Heatmap(array, HeatmapTolerance(largest=0.02))


@given(pairs(-1), FACTORS, st.booleans())
def test_a_signed_map_times_any_factor_is_judged_alike(pair, factor, condensed):
    now, was = pair
    plain = outcome(bare(now), bare(was), condensed=condensed)
    assert outcome(bare(now * np.float32(factor)), bare(was * np.float32(factor)), condensed=condensed) == plain


@given(pairs(0), FACTORS.filter(lambda factor: not 0.25 <= factor <= 4), st.booleans())
def test_a_heatmap_of_any_unit_but_the_usual_is_judged_as_in_any_other(pair, factor, condensed):
    now, was = (each * np.float32(2.0**-10) for each in pair)
    plain = outcome(heatmap(now), heatmap(was), condensed=condensed)
    scale = np.float32(factor * 2.0**10)
    assert outcome(heatmap(now * scale), heatmap(was * scale), condensed=condensed) == plain


@pytest.mark.parametrize("size", [64, 224], ids=str)
@pytest.mark.parametrize("height", [1e-30, 1e-9, 1e-3, 1.0, 1e3, 1e30], ids=str)
@pytest.mark.parametrize("field", [bare, heatmap, lambda array: SignedMap(-array)], ids=["bare", "heatmap", "negative"])
def test_a_hot_spot_of_any_height_that_moves_to_the_opposite_corner_is_a_drift(field, height, size):
    was = np.zeros((size, size), np.float32)
    was[2:9, 2:9] = height
    golden = field(was).condensed()
    assert not field(was).compare(golden, "map")
    assert field(np.ascontiguousarray(was[::-1, ::-1])).compare(golden, "map")
