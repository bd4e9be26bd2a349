import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_eval.metrics.localisation import energy_inside, iou_at_equal_area, iou_sweep, pointing_hit
from xai_eval.result.map_similarity import iou, mass_moved, rank_correlation, top_area

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@st.composite
def mask_pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(bool, shape)), draw(hnp.arrays(bool, shape))


@st.composite
def map_pairs(draw):
    shape = draw(SHAPES)
    values = hnp.arrays(np.float64, shape, elements=st.integers(0, 20).map(lambda step: step / 20))
    return draw(values), draw(values)


@given(mask_pairs())
def test_iou_is_bounded_and_symmetric(pair):
    first, second = pair
    assert 0.0 <= iou(first, second) <= 1.0
    assert iou(first, second) == iou(second, first)


@given(mask_pairs())
def test_iou_is_one_for_equal_masks_only(pair):
    first, second = pair
    assert iou(first, first) == 1.0
    assert (iou(first, second) == 1.0) == bool((first == second).all())


@given(mask_pairs())
def test_iou_with_an_empty_mask_is_zero_unless_both_are(pair):
    first, _ = pair
    assert iou(first, np.zeros_like(first)) == float(not first.any())


@given(mask_pairs(), st.sampled_from([np.flipud, np.fliplr, np.transpose]))
def test_iou_does_not_care_how_the_image_is_turned(pair, turn):
    assert iou(*map(turn, pair)) == iou(*pair)


@given(mask_pairs())
def test_iou_agrees_with_counting(pair):
    first, second = ({tuple(p) for p in np.argwhere(m).tolist()} for m in pair)
    expected = len(first & second) / len(first | second) if first | second else 1.0
    assert iou(*pair) == expected


@given(map_pairs())
def test_map_measures_are_bounded_symmetric_and_perfect_on_themselves(pair):
    first, second = pair
    assert -1.0 - 1e-12 <= rank_correlation(first, second) <= 1.0 + 1e-12
    assert 0.0 <= mass_moved(first, second) <= 1.0
    np.testing.assert_allclose(rank_correlation(first, second), rank_correlation(second, first), atol=1e-12)
    np.testing.assert_allclose(mass_moved(first, second), mass_moved(second, first), atol=1e-12)
    np.testing.assert_allclose(rank_correlation(first, first), 1.0)
    assert mass_moved(first, first) == 0.0


@given(map_pairs(), st.sampled_from([0.05, 0.1, 0.2, 0.5]))
def test_top_area_holds_the_hottest_and_grows_with_its_share(pair, share):
    saliency, _ = pair
    hot = top_area(saliency, share)
    if hot.any() and not hot.all():
        assert saliency[hot].min() > saliency[~hot].max()
    assert not (hot & ~top_area(saliency, min(1.0, 2 * share))).any()


@given(map_pairs(), mask_pairs(), st.sampled_from([np.flipud, np.fliplr]))
def test_localisation_does_not_care_how_the_image_is_turned(maps, masks, turn):
    saliency = maps[0]
    mask = np.resize(masks[0], saliency.shape)
    np.testing.assert_allclose(energy_inside(turn(saliency), turn(mask)), energy_inside(saliency, mask))
    assert iou_sweep(turn(saliency), turn(mask)) == iou_sweep(saliency, mask)


@given(map_pairs(), mask_pairs())
def test_localisation_is_bounded_and_perfect_on_the_mask_itself(maps, masks):
    saliency = maps[0]
    mask = np.resize(masks[0], saliency.shape)
    share = energy_inside(saliency, mask)
    assert np.isnan(share) == (saliency.sum() == 0)
    assert np.isnan(share) or 0.0 <= share <= 1.0 + 1e-12
    assert 0.0 <= iou_at_equal_area(saliency, mask) <= 1.0
    if mask.any():
        assert pointing_hit(mask.astype(float), mask)
        assert energy_inside(mask.astype(float), mask) == 1.0
        assert iou_at_equal_area(mask.astype(float), mask) == 1.0
