import numpy as np
import pytest
from scipy.stats import spearmanr

from xai_eval.errors import UsageError
from xai_eval.metrics.comparison import CamExplanation, LimeWeights, MaskPolicy, area_sweep, compare, masks

SEGMENTS = np.repeat(np.arange(4), 25).reshape(10, 10)
WEIGHTS = np.array([0.1, 0.8, -0.3, 0.4])
LIME = LimeWeights(3, WEIGHTS, SEGMENTS)
SALIENCY = np.random.default_rng(0).random((10, 10))
CAM = CamExplanation(3, SALIENCY)


def test_explanations_of_different_classes_are_refused():
    with pytest.raises(UsageError, match="overlap would say nothing about the two methods"):
        compare(CamExplanation(4, SALIENCY), LIME, MaskPolicy())


def test_explanations_of_different_sizes_are_refused():
    with pytest.raises(UsageError, match="one shape"):
        compare(CamExplanation(3, np.ones((5, 10))), LIME, MaskPolicy())


@pytest.mark.parametrize("area", [0.05, 0.2, 0.4, 0.6, 0.95])
def test_masks_of_the_policy_equal_area_have_equal_areas(area):
    cam_mask, lime_mask = masks(CAM, LIME, MaskPolicy(area=area))
    assert cam_mask.sum() == lime_mask.sum()
    assert set(np.unique(SEGMENTS[lime_mask])) <= {0, 1, 3}  # never what speaks against the class


def test_half_takes_what_is_above_one_half():
    cam_mask, lime_mask = masks(CAM, LIME, MaskPolicy("half"))
    np.testing.assert_array_equal(cam_mask, SALIENCY > 0.5)
    np.testing.assert_array_equal(lime_mask, SEGMENTS == 1)  # 0.4 of 0.8 is not above


def test_otsu_splits_two_groups():
    two = np.where(SEGMENTS < 2, 0.1, 0.9) + 0.01 * SALIENCY
    cam_mask, _ = masks(CamExplanation(3, two), LIME, MaskPolicy("otsu"))
    np.testing.assert_array_equal(cam_mask, SEGMENTS >= 2)


def test_otsu_of_a_flat_map_points_at_nothing():
    cam_mask, _ = masks(CamExplanation(3, np.full((10, 10), 0.3)), LIME, MaskPolicy("otsu"))
    assert not cam_mask.any()


def test_identical_explanations_agree_in_everything():
    found = compare(CamExplanation(3, LIME.saliency), LIME, MaskPolicy(area=0.25))
    assert (found.iou, found.dice, found.iou_beyond_chance, found.centre_distance) == pytest.approx((1, 1, 1, 0))


def test_rank_correlation_is_computed_over_superpixels():
    found = compare(CAM, LIME, MaskPolicy())
    means = [SALIENCY[s == SEGMENTS].mean() for s in range(4)]
    assert found.rank_correlation == pytest.approx(spearmanr(means, WEIGHTS).statistic)


def test_rank_correlation_of_one_superpixel_is_not_a_number():
    alone = LimeWeights(3, np.array([0.3]), np.zeros((10, 10), dtype=int))
    assert np.isnan(compare(CAM, alone, MaskPolicy()).rank_correlation)


def test_sweep_holds_the_iou_of_every_area():
    areas = np.array([0.2, 0.5])
    swept = area_sweep(CAM, LIME, areas)
    assert swept["IoU"].tolist() == [compare(CAM, LIME, MaskPolicy(area=a)).iou for a in areas]
    assert (swept["by chance"] < 1).all()


@pytest.mark.parametrize(("name", "area"), [("half_area", 0.2), ("equal_area", 0.0), ("equal_area", 20)])
def test_policies_that_make_no_sense_are_refused(name, area):
    with pytest.raises(UsageError):
        MaskPolicy(name, area)
