"""Rounding of both explanations never moves a measure of their agreement out of what is said to be possible."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xai_eval.metrics.comparison import CamExplanation, LimeWeights, MaskPolicy, area_sweep, compare
from xai_eval.tasks.ties.bounds import ON_CPU
from xai_eval.tasks.ties.possible_agreement import possible_agreement, possible_sweep

SEGMENTS = np.repeat(np.repeat(np.arange(6).reshape(2, 3), 2, axis=0), 2, axis=1)
LEVELS = st.sampled_from([0.1, 0.3, 0.3 + 1e-6, 0.5, 0.5 - 1e-6, 0.9, 1.0, 1.0 - 1e-6])
NUDGES = st.sampled_from([-1e-6, 0.0, 1e-6])


def drawn(data, count, levels):
    return np.array(data.draw(st.lists(levels, min_size=count, max_size=count)))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["equal_area", "half"]))
def test_every_measure_that_jumps(data, policy):
    saliency, weights = drawn(data, 24, LEVELS).reshape(4, 6), drawn(data, 6, LEVELS) - 0.3
    assume(np.abs(weights).max() > 1e-3)
    moved = saliency + drawn(data, 24, NUDGES).reshape(4, 6), weights + 0.5 * drawn(data, 6, NUDGES)
    now = CamExplanation(0, saliency), LimeWeights(0, weights, SEGMENTS)
    was = CamExplanation(0, moved[0]), LimeWeights(0, moved[1], SEGMENTS)
    possible, found = possible_agreement(*now, MaskPolicy(policy), ON_CPU), compare(*was, MaskPolicy(policy))
    for name, each in possible.measures.items():
        value = getattr(found, name)
        if not np.isnan([value, each.low, each.high]).any():
            assert each.low - 1e-9 <= value <= each.high + 1e-9, name


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_area_of_the_sweep(data):
    saliency, weights = drawn(data, 24, LEVELS).reshape(4, 6), drawn(data, 6, LEVELS)
    areas = np.array([0.1, 0.3, 0.5])
    possible = possible_sweep(CamExplanation(0, saliency), LimeWeights(0, weights, SEGMENTS), areas, ON_CPU)
    moved = saliency + drawn(data, 24, NUDGES).reshape(4, 6), weights + drawn(data, 6, NUDGES)
    for name, line in area_sweep(CamExplanation(0, moved[0]), LimeWeights(0, moved[1], SEGMENTS), areas).items():
        for each, value in zip(possible[name], line, strict=True):
            assert each.low - 1e-9 <= value <= each.high + 1e-9, name


@pytest.mark.parametrize("policy", ["equal_area", "half", "otsu"])
def test_without_ties_only_what_was_found_is_possible(policy):
    rng = np.random.default_rng(1)
    pair = CamExplanation(0, rng.random((4, 6))), LimeWeights(0, rng.random(6), SEGMENTS)
    possible, found = possible_agreement(*pair, MaskPolicy(policy), ON_CPU), compare(*pair, MaskPolicy(policy))
    for name, each in possible.measures.items():
        assert each.low == pytest.approx(each.high) == pytest.approx(getattr(found, name)), name
