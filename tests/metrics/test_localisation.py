import numpy as np
import pytest

from xai_eval.metrics.localisation import energy_inside, half_cell, iou_at_equal_area, iou_sweep, pointing_hit

MASK = np.zeros((6, 8), dtype=bool)
MASK[1:3, 2:6] = True
INSIDE = MASK.astype(float)
RAMP = np.arange(48.0).reshape(6, 8) / 47


def test_pointing_game():
    assert pointing_hit(INSIDE, MASK)
    assert not pointing_hit(RAMP, MASK)
    assert pointing_hit(RAMP[::-1, ::-1] * MASK, MASK)


def test_a_margin_forgives_a_near_miss_in_both_directions():
    saliency = np.zeros((6, 8))
    saliency[4, 7] = 1.0  # the mask ends at row 2 and column 5
    assert not pointing_hit(saliency, MASK, (1, 2))
    assert not pointing_hit(saliency, MASK, (2, 1))
    assert pointing_hit(saliency, MASK, (2, 2))
    corner = np.zeros((6, 8))
    corner[0, 0] = 1.0
    assert pointing_hit(corner, MASK, (1, 2)) and not pointing_hit(corner, MASK, (1, 1))


def test_half_a_cell_of_a_coarse_map():
    assert half_cell((7, 7), (224, 224)) == (16, 16)
    assert half_cell((6, 6), (96, 96)) == (8, 8)
    assert half_cell((4, 8), (100, 400)) == (12, 25)


def test_several_hottest_pixels_point_at_the_one_nearest_to_their_centre():
    saliency = np.zeros((6, 8))
    saliency[0, :], saliency[2, 4] = 1.0, 1.0
    # Nine hottest pixels, mean at (0.22, 3.56): the nearest is (0, 4), outside of the mask.
    assert not pointing_hit(saliency, MASK)


def test_energy_inside_is_the_share_of_the_sum():
    saliency = np.ones((6, 8))
    assert energy_inside(saliency, MASK) == pytest.approx(8 / 48)
    assert energy_inside(INSIDE, MASK) == 1.0
    assert np.isnan(energy_inside(np.zeros((6, 8)), MASK))


def test_iou_at_equal_area_by_hand():
    assert iou_at_equal_area(INSIDE, MASK) == 1.0
    # The eight hottest pixels of the ramp are the last row: nothing in common.
    assert iou_at_equal_area(RAMP, MASK) == 0.0
    half = np.zeros((6, 8))
    half[1, 2:6], half[5, 2:6] = 1.0, 1.0
    assert iou_at_equal_area(half, MASK) == pytest.approx(4 / 12)


def test_iou_sweep_by_hand():
    saliency = np.where(MASK, 0.75, 0.25)
    assert iou_sweep(saliency, MASK, (0.1, 0.5, 0.9)) == (8 / 48, 1.0, 0.0)


@pytest.mark.parametrize("measure", [pointing_hit, energy_inside, iou_at_equal_area, iou_sweep])
def test_a_mask_of_another_shape_is_refused(measure):
    with pytest.raises(ValueError, match=r"must have the same shape, got \(6, 8\) and \(8, 6\)"):
        measure(RAMP, MASK.T)
