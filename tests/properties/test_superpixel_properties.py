"""What must hold for any image, any superpixels and any weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stock_lime import on_tensors, toy_model

from xai_eval.explainers.lime.lime import LimeSettings, explain_by_lime
from xai_eval.explainers.lime.lime_search import draws, make_grid, search
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import (
    SEGMENTATIONS,
    choose_segmentation,
    in_reading_order,
    renumbered_from_zero,
)
from xai_eval.inputs.steps import Turn
from xai_eval.metrics.comparison import CamExplanation, LimeWeights, MaskPolicy, compare, masks
from xai_eval.metrics.geometry import centre_distance
from xai_eval.metrics.overlap import chance_iou, dice, iou_beyond_chance
from xai_eval.metrics.superpixels import best_superpixels, mask_of, positive_map, superpixel_means
from xai_eval.result.fields.segments import share_moved
from xai_eval.result.map_similarity import iou
from xai_eval.scenes import render

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12)
NUMBERS = st.integers(-20, 20).map(lambda step: step / 20)


@st.composite
def partitions(draw):
    return renumbered_from_zero(draw(hnp.arrays(np.int64, draw(SHAPES), elements=st.integers(0, 9))))


@st.composite
def weighted_partitions(draw):
    segments = draw(partitions())
    return segments, draw(hnp.arrays(np.float64, int(segments.max()) + 1, elements=NUMBERS))


@st.composite
def mask_pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(bool, shape)), draw(hnp.arrays(bool, shape))


class Given:
    """Superpixels that are known, as a segmentation."""

    name = "given"

    def __init__(self, segments):
        self.segments = segments

    def __call__(self, pixels):
        return self.segments


@pytest.mark.parametrize("name", [n for n in SEGMENTATIONS if n != "none"])
@given(st.integers(0, 10_000))
@settings(max_examples=5)
def test_segments_partition_the_image(name, seed):
    pixels = render(seed).pixels
    segments = choose_segmentation(name, 0)(pixels)
    assert segments.shape == pixels.shape[:2]
    np.testing.assert_array_equal(np.unique(segments), np.arange(segments.max() + 1))


def planted_model(pixels, segments, weights, intercept):
    """A probability that is linear in which superpixels are shown, read off one pixel of each."""
    places = [np.argwhere(segments == s)[0] for s in range(len(weights))]
    rows, columns = np.array(places).T

    def predict(views: torch.Tensor) -> torch.Tensor:
        shown = (views.numpy()[:, rows, columns] == pixels[rows, columns]).all(axis=-1)
        probability = intercept + shown @ weights
        return torch.from_numpy(np.stack([probability, 1 - probability], axis=1))

    return predict


@given(st.integers(0, 2**16), st.integers(2, 9))
@settings(max_examples=10)
def test_a_planted_linear_model_is_recovered(seed, count):
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    segments = np.arange(24 * 24).reshape(24, 24) * count // (24 * 24)
    # Whatever is planted, the probability stays within [0, 1].
    planted = generator.uniform(-0.4, 0.4, count) / count
    images = PerturbedImages(planted_model(pixels, segments, planted, 0.5), 50)
    found = explain_by_lime(pixels, images, Given(segments), LimeSettings(num_samples=2000, top_labels=1), labels=[0])[
        0
    ]
    surrogate = found.surrogates[0]
    np.testing.assert_allclose(surrogate.weights, planted, atol=0.02 * np.abs(planted).max())
    assert surrogate.r2 > 0.999
    assert surrogate.prediction == pytest.approx(0.5 + planted.sum(), abs=0.01)
    np.testing.assert_allclose(surrogate.weights, closed_form(found.neighbourhood), atol=1e-10)


def closed_form(neighbourhood):
    """Weighted ridge regression with alpha 1 and lime's kernel of width 0.25, by the normal equations."""
    samples = neighbourhood.samples.astype(float)
    cosine = samples.sum(axis=1) / np.sqrt(samples.shape[1]) / np.maximum(np.linalg.norm(samples, axis=1), 1e-300)
    nearness = np.sqrt(np.exp(-((1 - cosine) ** 2) / 0.25**2))
    values = neighbourhood.probabilities[:, 0].astype(float)
    centred = samples - np.average(samples, axis=0, weights=nearness)
    target = values - np.average(values, weights=nearness)
    gram = centred.T @ (nearness[:, None] * centred) + np.eye(samples.shape[1])
    return np.linalg.solve(gram, centred.T @ (nearness * target))


@given(weighted_partitions(), st.randoms(use_true_random=False))
def test_numbering_superpixels_anew_numbers_their_weights_anew(pair, random):
    segments, weights = pair
    order = list(range(len(weights)))
    random.shuffle(order)
    new = np.array(order)
    anew, moved = new[segments], weights[np.argsort(new)]
    np.testing.assert_array_equal(positive_map(moved, anew), positive_map(weights, segments))
    np.testing.assert_allclose(superpixel_means(moved[anew], anew), moved)
    reading, again = in_reading_order(segments)[segments], in_reading_order(anew)[anew]
    np.testing.assert_array_equal(reading, again)
    assert share_moved(anew, segments) == 0.0


@given(partitions(), st.data())
def test_share_moved_is_symmetric_bounded_and_finds_every_pixel(segments, data):
    other = segments.copy()
    row, column = (data.draw(st.integers(0, side - 1)) for side in segments.shape)
    other[row, column] = data.draw(st.integers(0, 12))
    moved = share_moved(segments, other)
    assert 0.0 <= moved <= 1.0 and moved == share_moved(other, segments)
    same_pairs = (segments.reshape(-1, 1) == segments.reshape(1, -1)) == (other.reshape(-1, 1) == other.reshape(1, -1))
    assert (moved == 0.0) == bool(same_pairs.all())


@given(weighted_partitions(), st.integers(0, 2**16), st.integers(1, 99))
def test_masks_at_equal_area_are_equal_and_within_one_superpixel_of_it(pair, seed, percent):
    segments, weights = pair
    saliency = np.random.default_rng(seed).random(segments.shape)
    cam_mask, lime_mask = masks(
        CamExplanation(0, saliency), LimeWeights(0, weights, segments), MaskPolicy(area=percent / 100)
    )
    assert cam_mask.sum() == lime_mask.sum()
    sizes = np.bincount(segments.reshape(-1))
    everything = mask_of(best_superpixels(weights, len(weights)), segments)
    if everything.sum() >= percent / 100 * segments.size:
        assert abs(lime_mask.sum() - percent / 100 * segments.size) <= sizes.max()
    else:
        assert lime_mask.sum() <= everything.sum()


@given(mask_pairs())
def test_overlap_measures_are_bounded_and_symmetric(pair):
    first, second = pair
    for measure, least in ((dice, 0.0), (iou_beyond_chance, -1.0)):
        value = measure(first, second)
        assert np.isnan(value) or least <= value <= 1.0
        np.testing.assert_equal(value, measure(second, first))
    assert iou(first, second) <= dice(first, second)
    assert 0.0 <= chance_iou(int(first.sum()), int(second.sum()), first.size) <= 1.0 + 1e-12


@given(weighted_partitions(), st.integers(0, 2**16), st.sampled_from(["equal_area", "half", "otsu"]))
def test_comparisons_are_bounded(pair, seed, policy):
    segments, weights = pair
    saliency = np.random.default_rng(seed).random(segments.shape)
    found = compare(CamExplanation(0, saliency), LimeWeights(0, weights, segments), MaskPolicy(policy))
    assert 0.0 <= found.iou <= found.dice <= 1.0
    assert np.isnan(found.rank_correlation) or abs(found.rank_correlation) <= 1.0 + 1e-12
    assert np.isnan(found.centre_distance) or 0.0 <= found.centre_distance <= 1.0
    other = positive_map(weights, segments)
    np.testing.assert_equal(centre_distance(saliency, other), centre_distance(other, saliency))


@given(st.integers(0, 1000), st.sampled_from(["slic", "quickshift", "felzenszwalb"]), st.integers(20, 60))
@settings(max_examples=6)
def test_a_search_cell_is_the_single_run(seed, segmentation, count):
    pixels = render(seed).pixels
    grid = make_grid({"segmentation": segmentation, "num_samples": [count, 80], "num_features": 8, "batch_size": 7})
    images = PerturbedImages(on_tensors(toy_model()), 7)
    found = search(pixels, images, grid, Turn(lambda: draws(pixels, grid, seed)))
    setting = grid.settings[0]
    cut, how = choose_segmentation(segmentation, seed), LimeSettings(count, setting.top_labels, 8, 7)
    alone = explain_by_lime(pixels, PerturbedImages(on_tensors(toy_model()), 7), cut, how, seeds=[seed])[0]
    assert found.top_labels(setting) == tuple(alone.surrogates)
    for label, surrogate in alone.surrogates.items():
        np.testing.assert_allclose(found.surrogate(setting, label).weights, surrogate.weights, rtol=0, atol=1e-12)
