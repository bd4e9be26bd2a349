import numpy as np
import pytest
from lime.lime_image import ImageExplanation

from xai_eval.metrics.superpixels import best_superpixels, mask_of, mask_of_area, positive_map, superpixel_means

SEGMENTS = np.repeat(np.arange(4), [10, 20, 30, 40]).reshape(10, 10)
WEIGHTS = np.array([0.5, -1.0, 0.25, 1.0])


def test_positive_map_scales_what_speaks_for_the_class():
    painted = positive_map(WEIGHTS, SEGMENTS)
    assert [float(painted[s == SEGMENTS][0]) for s in range(4)] == [0.5, 0.0, 0.25, 1.0]


def test_positive_map_of_nothing_positive_is_all_zero():
    assert not positive_map(-np.abs(WEIGHTS), SEGMENTS).any()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_best_superpixels_are_those_that_lime_shows(count):
    library = ImageExplanation(np.zeros((10, 10, 3)), SEGMENTS)
    library.local_exp[0] = sorted(enumerate(WEIGHTS), key=lambda pair: -abs(pair[1]))
    _, mask = library.get_image_and_mask(0, positive_only=True, num_features=count)
    np.testing.assert_array_equal(mask_of(best_superpixels(WEIGHTS, count), SEGMENTS), mask.astype(bool))


@pytest.mark.parametrize(
    ("share", "superpixels"),
    [(0.01, [3]), (0.4, [3]), (0.44, [3]), (0.46, [3, 0]), (0.7, [3, 0, 2]), (0.99, [3, 0, 2])],
)
def test_mask_of_area_takes_the_best_that_come_nearest(share, superpixels):
    np.testing.assert_array_equal(mask_of_area(WEIGHTS, SEGMENTS, share), np.isin(SEGMENTS, superpixels))


def test_mask_of_area_is_empty_where_nothing_speaks_for_the_class():
    assert not mask_of_area(-np.abs(WEIGHTS), SEGMENTS, 0.3).any()


def test_superpixel_means_average_over_each_superpixel():
    saliency = np.arange(100.0).reshape(10, 10)
    expected = [saliency[s == SEGMENTS].mean() for s in range(4)]
    np.testing.assert_allclose(superpixel_means(saliency, SEGMENTS), expected)
