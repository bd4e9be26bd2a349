"""Signed maps: the two parts are judged apart, by where they point, whatever the range of the values is."""

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from synthetic import blob

from xai_eval.errors import UsageError
from xai_eval.result.fields import Severity, SignedMap, SignedMapTolerance
from xai_eval.result.fields.heatmap import block_means

SIDE = 96


def spot(row, column, width=14.0):
    return blob(row, column, size=SIDE, width=width).astype(np.float64)


def measures(now, was):
    return {finding.measure: finding for finding in SignedMap(now).compare(SignedMap(was).condensed(), "map")}


PLACES = st.tuples(st.integers(16, 79), st.integers(16, 79))
FACTORS = st.floats(-300, 300).map(lambda power: 10.0**power)
SMALL_FACTORS = st.floats(-30, 30).map(lambda power: 10.0**power)


def apart(first, second, least=30):
    return math.dist(first, second) >= least


@settings(deadline=None, max_examples=40)
@given(PLACES, PLACES, PLACES, SMALL_FACTORS)
def test_a_hot_spot_that_moves_is_a_drift_of_its_own_part_whatever_the_range_of_the_map(stays, was, now, unit):
    assume(apart(was, now, 12) and apart(stays, was) and apart(stays, now))
    kept = spot(*stays)
    found = measures(unit * (kept - 0.6 * spot(*now)), unit * (kept - 0.6 * spot(*was)))
    assert found and all(name.startswith("negative part") for name in found)
    assert found["negative part: mass moved"].severity is Severity.EVIDENCE
    found = measures(unit * (spot(*now) - 0.6 * kept), unit * (spot(*was) - 0.6 * kept))
    assert found and all(name.startswith("positive part") for name in found)


@settings(deadline=None, max_examples=40)
@given(PLACES, PLACES, FACTORS, st.floats(0.2, 5.0))
def test_a_factor_on_all_values_is_said_to_be_one(first, second, unit, factor):
    assume(apart(first, second))
    saliency = unit * (spot(*first) - 0.5 * spot(*second))
    found = measures(factor * saliency, saliency)
    if max(factor, 1 / factor) > 1.06:
        assert list(found) == ["scale"] and found["scale"].severity is Severity.NUMBERS
        assert found["scale"].value == pytest.approx(max(factor, 1 / factor) - 1, abs=0.006 * factor + 0.006 / factor)
        (said,) = re.findall(r"the values are (\S+) times those of the golden", found["scale"].sentence)
        assert float(said) == pytest.approx(factor, rel=1e-2)
    elif max(factor, 1 / factor) < 1.04:
        assert not found


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), SMALL_FACTORS, st.sampled_from([0.0, 1.0, -1.0]))
def test_noise_below_the_tolerance_is_none_and_other_noise_is_a_drift(seed, unit, tilt):
    rng = np.random.default_rng(seed)
    was = unit * (rng.normal(size=(SIDE, SIDE)) + tilt)
    largest = np.abs(was).max()
    assert not measures(was + rng.uniform(-0.01, 0.01, was.shape) * largest, was)
    other = unit * (rng.normal(size=(SIDE, SIDE)) + tilt)
    found = measures(other, was)
    assert {"positive part: rank correlation", "negative part: rank correlation"} & found.keys()


@settings(deadline=None, max_examples=25)
@given(PLACES, PLACES)
def test_a_map_that_speaks_for_what_it_spoke_against_is_a_drift_of_both_parts(first, second):
    assume(apart(first, second))
    was = spot(*first) - spot(*second)
    found = measures(-was, was)
    assert found["positive part: mass moved"].value == pytest.approx(found["negative part: mass moved"].value, abs=2e-3)
    assert {name.partition(":")[0] for name in found} == {"positive part", "negative part"}


def test_a_part_that_appears_or_goes_is_named_and_the_other_part_is_as_it_was():
    only, both = spot(30, 30), spot(30, 30) - 0.5 * spot(70, 70)
    assert list(measures(both, only)) == ["negative part", "negative part: largest difference"]
    assert "the negative part appeared" in measures(both, only)["negative part"].sentence
    assert "the negative part is gone" in measures(only, both)["negative part"].sentence
    assert list(measures(-both, -only)) == ["positive part", "positive part: largest difference"]


@pytest.mark.parametrize("size", [0.005, 0.015])
def test_a_part_that_is_next_to_nothing_is_not_judged_by_where_it_points(size):
    was, now = (spot(30, 30) - size * spot(70, column) for column in (30, 70))
    assert not measures(now, was)
    strict = SignedMapTolerance(largest=0.001)
    found = SignedMap(now, strict).compare(SignedMap(was), "map")
    expected = Severity.NUMBERS if size < 0.01 else Severity.EVIDENCE
    assert max(finding.severity for finding in found) is expected


def test_a_part_with_hardly_any_mass_is_not_judged_by_where_it_points():
    dot, moved = np.zeros((2, SIDE, SIDE))
    dot[5, 5], moved[60, 60] = 0.3, 0.3
    found = measures(spot(30, 30, 40) - moved, spot(30, 30, 40) - dot)
    assert {finding.severity for finding in found.values()} == {Severity.NUMBERS}


def test_the_measures_are_those_of_the_parts_taken_alone():
    rng = np.random.default_rng(3)
    was, now = (rng.normal(size=(40, 50)) for _ in range(2))
    found = {each.measure: each for each in SignedMap(now).compare(SignedMap(was), "map")}
    for name, sign in (("positive", 1), ("negative", -1)):
        parts = [np.clip(sign * each, 0, None) for each in (now, was)]
        expected = spearmanr(parts[0].ravel(), parts[1].ravel()).statistic
        # The values are rounded to steps before they are ranked.
        assert found[f"{name} part: rank correlation"].value == pytest.approx(expected, abs=0.03)
        marginals = [[np.cumsum(p.sum(a)) / p.sum() for a in (0, 1)] for p in parts]
        distance = max(np.abs(marginals[0][a] - marginals[1][a]).mean() for a in (0, 1))
        measure = f"{name} part: mass moved"
        assert (measure in found) == (distance > 0.02)
        assert measure not in found or found[measure].value == pytest.approx(distance)


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        (spot(30, 30), np.full((SIDE, SIDE), np.nan), "NaN"),
        (spot(30, 30), np.where(spot(30, 30) > 0.5, -np.inf, 0.0), "NaN"),
        (spot(30, 30), np.zeros((SIDE, SIDE)), "all zero"),
    ],
)
def test_a_map_that_means_nothing_differs_from_one_that_does(was, now, word):
    (finding,) = measures(now, was).values()
    assert finding.severity is Severity.EVIDENCE and finding.sentence == f"the map was valid and is {word} now"
    assert not measures(now, now) and not measures(was, was)


@pytest.mark.parametrize("value", [0.1, -3.0, 1e-9])
def test_a_constant_map_is_named_and_compared_by_its_value(value):
    constant = np.full((SIDE, SIDE), value)
    assert SignedMap(constant).degenerate == SignedMap(constant).condensed().degenerate == "constant"
    assert not measures(constant, constant)
    assert list(measures(2 * constant, constant)) == ["scale"]
    assert measures(-constant, constant) and measures(spot(30, 30), constant)


def test_stripes_whose_averages_are_constant_are_not_called_constant():
    checks = np.indices((SIDE * 2, SIDE * 2)).sum(0) % 2 * 2.0 - 1.0
    assert SignedMap(checks).degenerate is None and not measures(checks, checks)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_a_golden_has_the_means_of_each_part(dtype):
    values = (100 * np.random.default_rng(1).normal(size=(90, 130))).astype(dtype)
    golden = SignedMap(values).condensed()
    assert golden.array.dtype == np.uint8 and golden.array.shape == (2, 56, 56) and golden.shape == (90, 130)
    for part, sign in zip(golden.array.astype(float) * golden.unit, (1, -1), strict=True):
        means = block_means(np.clip(sign * values.astype(float), 0, None), (56, 56))
        np.testing.assert_allclose(part, means, atol=0.501 * golden.unit)
    assert golden.condensed() is golden
    assert not SignedMap(values).compare(golden, "map")


def test_the_golden_may_have_any_resolution():
    values = spot(30, 30) - 0.5 * spot(70, 60)
    assert not SignedMap(values).compare(SignedMap(values), "map")
    small = SignedMap(values).condensed()
    assert not small.compare(SignedMap(values), "map") and not small.compare(small, "map")


def test_shifts_have_a_direction_per_part():
    was, now = spot(30, 30) - spot(70, 70), 1.02 * (spot(33, 30) - spot(70, 68))
    shifts = {each.measure: each.change for each in SignedMap(now).shifts(SignedMap(was))}
    assert shifts["centre row of the positive part"] == pytest.approx(3 / SIDE, abs=1e-3)
    assert shifts["centre column of the negative part"] == pytest.approx(-2 / SIDE, abs=1e-3)
    assert SignedMap(1.02 * was).shifts(SignedMap(was))[0].change == pytest.approx(0.02)


@pytest.mark.parametrize(
    "given",
    [np.zeros((3, 4, 4)), np.zeros(4), np.zeros((2, 2), bool), np.zeros((2, 2), complex), [[1.0]], None],
)
def test_anything_but_a_map_is_refused_at_the_call(given):
    with pytest.raises(UsageError, match=r"a signed map is made of .*expected a numpy array of real numbers of shape"):
        SignedMap(given)


@given(PLACES, PLACES, st.floats(6, 16), st.floats(6, 16), st.floats(0, 0.01))
@settings(deadline=None, max_examples=40)
def test_a_spot_that_moved_says_nothing_wrong_about_the_scale(was, now, before, after, slope):
    """Both spots have the same height. Where they overlap, far from both, their ratio may be anything."""
    assume(apart(was, now, 4 * max(before, after)))
    below = slope * np.linspace(0, 1, SIDE)[None].repeat(SIDE, axis=0)
    old, new = SignedMap(spot(*was, before) + below), SignedMap(spot(*now, after) + below)
    (difference,) = (each for each in new.differences(old) if each.measure == "scale")
    ratio = max(before, after) / min(before, after)
    assert difference.value <= 1.5 * ratio - 1
