"""At the edge of a limit: what rounding can do never alarms, and what is clearly beyond the limit always does.

Hypothesis builds small maps and weights whose values tie, that lie at a threshold, or whose sum nearly cancels. What
the gate says is asked of the fields and stages themselves; the measures are computed here a second time, by their
formulas.
"""

import dataclasses
from fractions import Fraction

import numpy as np
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval.explainers.cam.amplification import amplification
from xai_eval.gate.judge import judge
from xai_eval.gate.stage_table import ON_CPU as LIMIT_ON_CPU
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Heatmap, HeatmapTolerance, Mask, Table
from xai_eval.result.fields.possible import WIDEST
from xai_eval.result.fields.table import Column
from xai_eval.result.fingerprint import MOST_AMPLIFIED, fingerprint_array
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.ties.bounds import ON_CPU, above, hottest_bounds, possible_iou, possible_rank_correlation

SIDE = 8
SEEDS = st.integers(0, 2**32 - 1)
RAW = Stage(StageKind.RAW_MAP, "xgradcam")
ALLOWED = 0.02


def rounded(values, seed):
    """Move each value as far as two runs on a CPU can differ."""
    reach = ON_CPU / 2 * 0.99 * np.abs(values).max()
    return values + reach * np.random.default_rng(seed).uniform(-1, 1, values.shape)


@st.composite
def tied(draw, count):
    """Positive numbers of few levels, so that many of them are equal; the largest is 1."""
    levels = draw(st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75]), min_size=count, max_size=count))
    levels[draw(st.integers(0, count - 1))] = 1.0
    return np.array(levels)


def table(value, possible=None):
    columns = (Column("method", "text", ("gradcam",)), Column("measure", "float", (float(value),)))
    return Table.of_columns(columns, {"measure": ALLOWED}, (), {"measure": (possible,)} if possible else {})


def alarms(now, golden):
    return bool(list(now.compare(golden.condensed(), "field")))


def correlation(first, second):
    return scipy.stats.spearmanr(first, second).statistic


@given(st.integers(4, 12).flatmap(lambda count: st.tuples(tied(count), tied(count))), SEEDS)
def test_a_rank_correlation_of_tied_weights(pair, seed):
    first, second = pair
    assume(np.ptp(first) > 0 and np.ptp(second) > 0)
    now, possible = correlation(first, second), possible_rank_correlation(first, second, ON_CPU)
    was = correlation(rounded(first, seed), rounded(second, seed + 1))
    assume(abs(now - was) <= WIDEST)  # a correlation that can be nearly anything is not excused
    assert not alarms(table(now, possible), table(was))


@given(st.permutations(range(8)), st.integers(0, 3))
def test_a_rank_correlation_of_weights_that_do_not_tie(order, moved):
    weights = np.array(order) / 8 + 0.1
    turned = weights.copy()
    turned[[moved, moved + 4]] = turned[[moved + 4, moved]]
    now, was = correlation(weights, turned), correlation(weights, weights)
    possible = possible_rank_correlation(weights, turned, ON_CPU)
    assert alarms(table(now, possible), table(was))


def hottest(values, count):
    mask = np.zeros(values.size, dtype=bool)
    mask[np.argsort(-values.ravel(), kind="stable")[:count]] = True
    return mask.reshape(values.shape)


@given(tied(SIDE * SIDE), st.integers(4, 32), SEEDS)
def test_the_hottest_pixels_of_a_map_with_plateaus(values, count, seed):
    saliency = values.reshape(SIDE, SIDE)
    bounds = hottest_bounds(saliency, count, count, ON_CPU)
    assume(bounds.undecided is None or bounds.undecided.mean() <= WIDEST)
    now, was = hottest(saliency, count), hottest(rounded(saliency, seed), count)
    assert not alarms(Mask(now, undecided=bounds.undecided), Mask(was))
    elsewhere = ~bounds.maybe
    if elsewhere.sum() >= count and bounds.surely.any():
        assert alarms(Mask(now, undecided=bounds.undecided), Mask(elsewhere))


@given(tied(SIDE * SIDE), tied(SIDE * SIDE), st.sampled_from([0.25, 0.5, 0.75]), SEEDS)
def test_an_overlap_of_maps_at_their_threshold(one, other, threshold, seed):
    maps = [each.reshape(SIDE, SIDE) for each in (one, other)]
    possible = possible_iou(*(above(each, threshold, ON_CPU) for each in maps))

    def overlap(first, second):
        masks = first > threshold, second > threshold
        union = (masks[0] | masks[1]).sum()
        return (masks[0] & masks[1]).sum() / union if union else 1.0

    now, was = overlap(*maps), overlap(*(rounded(each, seed + place) for place, each in enumerate(maps)))
    assume(abs(now - was) <= WIDEST)
    assert not alarms(table(now, possible), table(was))
    farther = possible.high + 2 * ALLOWED
    if farther <= 1.0:
        assert alarms(table(now, possible), table(farther))


@given(st.integers(2, 60).flatmap(lambda whole: st.tuples(st.just(whole), st.integers((whole + 1) // 2, whole - 1))))
def test_an_overlap_that_is_exactly_what_is_needed(counts):
    """The mask of a golden has `whole` pixels, of which a part is left: it may be so few, and not one fewer."""
    whole, part = counts
    pixels = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    least = float(Fraction(part, whole))
    golden = Mask(pixels < whole, least)
    assert not alarms(Mask(pixels < part, least), golden)
    assert alarms(Mask(pixels < part - 1, least), golden)


@given(tied(SIDE * SIDE), SEEDS, st.floats(0.5, 0.999))
def test_a_heatmap_whose_hottest_area_ends_on_a_plateau(values, seed, share):
    was = values.reshape(SIDE, SIDE)
    tolerance = HeatmapTolerance(largest=ALLOWED)
    noise = share * ALLOWED * np.random.default_rng(seed).choice((-1.0, 1.0), was.shape)
    # The hottest value stays 1, because a map is scaled to it.
    noise[was == 1.0] = 0.0
    assert not alarms(Heatmap(was + noise, tolerance), Heatmap(was, tolerance))


@given(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1), st.integers(SIDE // 2, SIDE - 1))
def test_a_heatmap_whose_hot_spot_moves_far(row, column, by):
    was = np.full((SIDE, SIDE), 0.1)
    now = was.copy()
    was[row, column], now[(row + by) % SIDE, column] = 1.0, 1.0
    tolerance = HeatmapTolerance(largest=ALLOWED)
    assert alarms(Heatmap(now, tolerance), Heatmap(was, tolerance))


def xgradcam(activations, gradients):
    """By its formula: gradients weighted by the share of each place in the sum of the activations, which may cancel."""
    sums = activations.sum(axis=(2, 3), keepdims=True) + 1e-7
    weights = (gradients * activations / sums).sum(axis=(2, 3), keepdims=True)
    return (weights * activations).sum(axis=1)


def with_raw_map(array, amplified=1.0):
    made = make_result()
    return dataclasses.replace(made, stages={**made.stages, RAW: fingerprint_array(array, amplified)})


@given(SEEDS, st.sampled_from([1.0, 0.3, 0.1, 0.05]), SEEDS)
def test_a_map_that_divides_by_a_sum_that_nearly_cancels(seed, left, noise):
    rng = np.random.default_rng(seed)
    activations, gradients = rng.standard_normal((2, 1, 6, 4, 4))
    # What is left of each channel's sum, as a share of the size of its values.
    activations -= activations.mean(axis=(2, 3), keepdims=True) - left * np.abs(activations).mean()
    amplified = amplification(xgradcam, activations, gradients)
    assume(amplified <= MOST_AMPLIFIED)
    was = xgradcam(activations, gradients)
    moves = np.random.default_rng(noise).uniform(-1, 1, activations.shape)
    now = xgradcam(activations * (1 + 2e-5 * moves), gradients)
    assert judge(with_raw_map(now, amplified), with_raw_map(was)).state is State.OK
    beyond = was * (1 + 2 * LIMIT_ON_CPU * MOST_AMPLIFIED)
    assert judge(with_raw_map(beyond, amplified), with_raw_map(was)).state is State.DRIFT
