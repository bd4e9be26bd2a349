import numpy as np
import pytest
from scipy import ndimage

from xai_eval.metrics.geometry import Place, blobs, centre_distance, centre_of_mass


def test_the_centre_of_mass_equals_that_of_scipy():
    saliency = np.random.default_rng(0).random((20, 30))
    row, column = ndimage.center_of_mass(saliency)
    found = centre_of_mass(saliency)
    assert (found.down, found.across) == pytest.approx(((row + 0.5) / 20, (column + 0.5) / 30))


def test_centre_of_an_even_map_is_the_middle():
    assert centre_of_mass(np.ones((5, 8))) == Place(pytest.approx(0.5), pytest.approx(0.5))


def test_an_empty_map_has_no_centre():
    assert centre_of_mass(np.zeros((4, 4))) is None
    assert np.isnan(centre_distance(np.zeros((4, 4)), np.ones((4, 4))))


def test_distance_of_opposite_corners_is_nearly_the_diagonal():
    first, second = np.zeros((100, 50)), np.zeros((100, 50))
    first[0, 0] = second[-1, -1] = 1.0
    assert centre_distance(first, second) == pytest.approx(np.hypot(99, 49) / np.hypot(100, 50))
    assert centre_distance(first, first) == 0.0


def test_blobs_counts_connected_parts_but_not_tiny_ones():
    mask = np.zeros((60, 60), dtype=bool)
    mask[5:25, 5:25] = mask[40:55, 40:55] = True
    mask[30, 2] = True
    assert blobs(mask) == 2
    mask[25, 25] = True  # touches by its corner
    assert blobs(mask) == 2
