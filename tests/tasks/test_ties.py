"""Rounding of the inputs never moves a measure out of what is said to be possible; a real change does."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from xai_eval.metrics.comparison import CamExplanation, LimeWeights, superpixel_correlation
from xai_eval.metrics.localisation import hottest, iou_at_equal_area, pointing_hit
from xai_eval.metrics.superpixels import best_superpixels, mask_of, mask_of_area
from xai_eval.result.map_similarity import iou
from xai_eval.tasks.ties import bounds as ties

ROUNDING = ties.ON_CPU
# Few values, so that many are tied, and pairs that lie just within or beyond reach of each other.
LEVELS = st.sampled_from([0.0, 0.2, 0.2 + 1e-6, 0.5 - 1e-6, 0.5, 0.5 + 2e-6, 1.0, 1.0 - 1e-6])
NUDGES = st.sampled_from([-1e-6, -3e-7, 0.0, 1e-6])


def arrays(count, levels=LEVELS):
    return st.lists(levels, min_size=count, max_size=count).map(np.array)


def moved(data, values):
    """The values as another device could have them."""
    most = float(np.abs(values).max())
    return values + most * data.draw(arrays(values.size, NUDGES)).reshape(values.shape)


def within(possible, value):
    return possible.low - 1e-12 <= value <= possible.high + 1e-12


@settings(max_examples=120)
@given(st.data(), st.integers(3, 8))
def test_rank_correlation(data, count):
    signed = st.one_of(LEVELS, LEVELS.map(lambda value: -value))
    first, second = data.draw(arrays(count, signed)), data.draw(arrays(count, signed))
    assume(np.abs(first).max() > 0 and np.abs(second).max() > 0)
    others = moved(data, first), moved(data, second)
    assume(all(np.ptp(each) > 0 for each in (first, second, *others)))
    assert within(ties.possible_rank_correlation(first, second, ROUNDING), spearmanr(*others).statistic)


@settings(max_examples=80)
@given(st.data(), st.sampled_from([0.2, 0.5, 1.0]))
def test_masks_above_a_threshold(data, threshold):
    first, second = data.draw(arrays(16)).reshape(4, 4), data.draw(arrays(16)).reshape(4, 4)
    found = [ties.above(each, threshold, ROUNDING) for each in (first, second)]
    masks = [moved(data, each) > threshold for each in (first, second)]
    for bounds, mask in zip(found, masks, strict=True):
        assert not (bounds.surely & ~mask).any() and not (mask & ~bounds.maybe).any()
    assert within(ties.possible_iou(*found), iou(*masks))


@settings(max_examples=80)
@given(st.data(), st.integers(0, 16))
def test_hottest_pixels(data, area):
    saliency, mask = data.draw(arrays(16)).reshape(4, 4), data.draw(arrays(16, st.booleans())).reshape(4, 4)
    bounds, other = ties.hottest_bounds(saliency, area, area, ROUNDING), moved(data, saliency)
    taken = hottest(other, area)
    assert not (bounds.surely & ~taken).any() and not (taken & ~bounds.maybe).any()
    area = int(mask.sum())
    possible = ties.possible_iou(ties.hottest_bounds(saliency, area, area, ROUNDING), ties.exactly(mask))
    assert within(possible, iou_at_equal_area(other, mask))


@settings(max_examples=120)
@given(st.data(), st.integers(2, 6), st.floats(0.05, 0.9), st.integers(1, 4))
def test_masks_of_superpixels(data, count, share, best):
    segments = np.array([*range(count), *data.draw(arrays(24, st.integers(0, count - 1)))]).reshape(1, -1)
    weights = data.draw(arrays(count)) - data.draw(st.sampled_from([0.0, 0.2]))
    assume(np.abs(weights).max() > 1e-3)
    other = moved(data, weights)
    for bounds, mask in (
        (ties.area_bounds(weights, segments, share, ROUNDING), mask_of_area(other, segments, share)),
        (
            ties.best_superpixels_bounds(weights, segments, best, ROUNDING),
            mask_of(best_superpixels(other, best), segments),
        ),
    ):
        assert not (bounds.surely & ~mask).any() and not (mask & ~bounds.maybe).any()


@settings(max_examples=80)
@given(st.data())
def test_the_hottest_pixel(data):
    saliency, mask = data.draw(arrays(16)).reshape(4, 4), data.draw(arrays(16, st.booleans())).reshape(4, 4)
    possible = ties.possible_pointing_hit(saliency, mask, ROUNDING)
    assert possible.low <= pointing_hit(moved(data, saliency), mask) <= possible.high


@settings(max_examples=60)
@given(st.data())
def test_shares_of_a_mask(data):
    saliency, inside = data.draw(arrays(16)).reshape(4, 4), data.draw(arrays(16, st.booleans())).reshape(4, 4)
    mask = moved(data, saliency) > 0.5
    assume(mask.any())
    assert within(ties.possible_share(ties.above(saliency, 0.5, ROUNDING), inside), (mask & inside).sum() / mask.sum())


def test_without_ties_nothing_else_is_possible():
    rng = np.random.default_rng(0)
    first, second = rng.permutation(9) / 9.0, rng.permutation(9) / 9.0
    found = ties.possible_rank_correlation(first, second, ROUNDING)
    assert found.low == pytest.approx(found.high) == pytest.approx(spearmanr(first, second).statistic)
    saliency, mask = (rng.permutation(36) / 36.0 + 0.01).reshape(6, 6), rng.random((6, 6)) > 0.5
    area = int(mask.sum())
    assert ties.hottest_bounds(saliency, area, area, ROUNDING).undecided is None
    hit = ties.possible_pointing_hit(saliency, mask, ROUNDING)
    assert hit.low == hit.high == pointing_hit(saliency, mask)
    segments = np.repeat(np.arange(9), 4).reshape(6, 6)
    bounds = ties.area_bounds(first, segments, 0.3, ROUNDING)
    assert bounds.undecided is None and np.array_equal(bounds.surely, mask_of_area(first, segments, 0.3))


def test_six_superpixels_of_which_two_are_tied():
    """As it was between a CPU and a GPU: the correlation jumped, and nothing had changed."""
    segments = np.arange(6).reshape(1, 6)
    means = np.array([[0.9, 0.7, 0.5, 0.5 + 1e-6, 0.2, 0.1]])
    weights = np.array([0.3, 0.4, -0.2, 0.25, 0.1, 0.0])
    now = superpixel_correlation(CamExplanation(0, means), LimeWeights(0, weights, segments))
    means[0, 3] = 0.5 - 1e-6
    other = superpixel_correlation(CamExplanation(0, means), LimeWeights(0, weights, segments))
    assert abs(now - other) > 0.05
    assert within(ties.possible_rank_correlation(means[0], weights, ROUNDING), now)
