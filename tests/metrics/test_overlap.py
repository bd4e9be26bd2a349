import numpy as np
import pytest
from scipy.spatial.distance import dice as dice_dissimilarity
from scipy.stats import hypergeom

from xai_eval.metrics.overlap import chance_iou, dice, iou_beyond_chance
from xai_eval.result.map_similarity import iou

GENERATOR = np.random.default_rng(0)


def random_mask(area, pixels=60):
    mask = np.zeros(pixels, dtype=bool)
    mask[GENERATOR.choice(pixels, area, replace=False)] = True
    return mask


def test_dice_equals_that_of_scipy():
    for _ in range(20):
        first, second = GENERATOR.random((2, 50)) < GENERATOR.uniform(0.1, 0.9, (2, 1))
        assert dice(first, second) == pytest.approx(1 - dice_dissimilarity(first, second))


@pytest.mark.parametrize("areas", [(5, 5), (10, 30), (59, 2), (60, 7), (0, 9), (40, 50)])
def test_chance_is_the_mean_over_random_masks(areas):
    drawn = [iou(random_mask(areas[0]), random_mask(areas[1])) for _ in range(4000)]
    assert chance_iou(*areas, 60) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4000) + 1e-12)


@pytest.mark.parametrize("areas", [(300, 500), (1, 1), (700, 650), (1000, 3), (999, 999)])
def test_chance_is_the_expectation_under_scipy_s_distribution(areas):
    shared = np.arange(0, 1001)
    likely = hypergeom.pmf(shared, 1000, *areas)
    expected = np.sum((likely * shared / np.maximum(sum(areas) - shared, 1))[likely > 0])
    assert chance_iou(*areas, 1000) == pytest.approx(expected, rel=1e-9)


def test_chance_of_two_pixels_by_hand():
    # Two masks of one pixel each, among four pixels, are equal with probability 1/4 and disjoint otherwise.
    assert chance_iou(1, 1, 4) == pytest.approx(0.25)


def test_beyond_chance_is_one_for_equal_masks_and_nothing_on_average_for_random_ones():
    mask = random_mask(12)
    assert iou_beyond_chance(mask, mask) == pytest.approx(1.0)
    drawn = [iou_beyond_chance(random_mask(12), random_mask(25)) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(0.0, abs=4 * np.std(drawn) / np.sqrt(4000))


@pytest.mark.parametrize("value", [True, False])
def test_beyond_chance_is_nan_for_two_empty_or_two_full_masks(value):
    assert np.isnan(iou_beyond_chance(np.full(9, value), np.full(9, value)))
