"""Our LIME equals the unmodified library, except for defects of the library, which these tests show."""

import numpy as np
import pytest
import torch
from stock_lime import on_tensors, stock_lime, stock_weights, toy_model

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.lime.lime import LimeSettings, explain_by_lime, fit
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.probabilities import check_probabilities
from xai_eval.explainers.lime.segmentation import SEGMENTATIONS, choose_segmentation
from xai_eval.scenes import render
from xai_eval.tasks.lime.lime_runs import LimeRun

PIXELS = render(5).pixels
SETTINGS = LimeSettings(num_samples=150, top_labels=3)


def ours(segmentation="quickshift", settings=SETTINGS, *, predict=None, pixels=PIXELS, **options):
    images = PerturbedImages(on_tensors(predict or toy_model()), settings.batch_size)
    cut = choose_segmentation(segmentation, 0) if isinstance(segmentation, str) else segmentation
    return explain_by_lime(pixels, images, cut, settings, **options)


def stock_options(settings=SETTINGS):
    return vars(settings)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("segmentation", SEGMENTATIONS)
def test_equals_stock(segmentation, seed):
    cut = None if segmentation == "none" else choose_segmentation(segmentation, 0)
    stock = stock_lime(PIXELS, toy_model(), seed=seed, segmentation_fn=cut, **stock_options())
    explanation = ours(segmentation, seeds=[seed])[0]
    assert list(explanation.surrogates) == stock.top_labels
    np.testing.assert_array_equal(explanation.neighbourhood.segments, stock.segments)
    for label, surrogate in explanation.surrogates.items():
        np.testing.assert_allclose(surrogate.weights, stock_weights(stock, label), rtol=0, atol=1e-9)
        assert surrogate.intercept == pytest.approx(stock.intercept[label], abs=1e-9)
    # The library keeps these for the class that it fits last, the most probable one.
    best = explanation.surrogates[stock.top_labels[0]]
    assert best.r2 == pytest.approx(stock.score, abs=1e-9)
    assert best.prediction == pytest.approx(float(stock.local_pred[0]), abs=1e-9)


@pytest.mark.parametrize("num_features", [1, 3, 6, 7])
def test_equals_stock_with_few_features(num_features):
    settings = LimeSettings(num_samples=150, top_labels=1, num_features=num_features)
    stock = stock_lime(PIXELS, toy_model(), segmentation_fn=choose_segmentation("quickshift", 0), **vars(settings))
    surrogate = ours(settings=settings)[0].surrogates[stock.top_labels[0]]
    np.testing.assert_allclose(surrogate.weights, stock_weights(stock, surrogate.label), rtol=0, atol=1e-9)
    assert np.count_nonzero(surrogate.weights) == min(num_features, len(surrogate.weights))


def test_equals_stock_on_a_real_network():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, stride=3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()
    ).double()

    def predict(views):
        with torch.no_grad():
            return net(torch.as_tensor(views).permute(0, 3, 1, 2) / 255.0).softmax(dim=1)

    cut = choose_segmentation("slic", 0)
    stock = stock_lime(
        PIXELS, lambda views: predict(views.astype(float)).numpy(), segmentation_fn=cut, **vars(SETTINGS)
    )
    images = PerturbedImages(lambda views: predict(views.double()), SETTINGS.batch_size)
    surrogates = explain_by_lime(PIXELS, images, cut, SETTINGS)[0].surrogates
    assert list(surrogates) == stock.top_labels
    for label, surrogate in surrogates.items():
        np.testing.assert_allclose(surrogate.weights, stock_weights(stock, label), rtol=0, atol=1e-9)


def test_stock_never_hides_the_last_superpixel_of_labels_from_one_and_ours_does():
    cut = choose_segmentation("slic", 0)
    from_one = lambda pixels: cut(pixels) + 1  # noqa: E731  what slic gives by itself
    stock = stock_lime(PIXELS, toy_model(), segmentation_fn=from_one, **vars(SETTINGS))
    count = len(np.unique(stock.segments))
    assert stock.segments.max() == count  # a superpixel whose column does not exist
    surrogate = ours("slic")[0].surrogates[stock.top_labels[0]]
    right = stock_lime(PIXELS, toy_model(), segmentation_fn=cut, **vars(SETTINGS))
    np.testing.assert_allclose(surrogate.weights, stock_weights(right, surrogate.label), rtol=0, atol=1e-9)
    assert not np.allclose(stock_weights(stock, surrogate.label), surrogate.weights, atol=1e-4)


def test_a_users_segmentation_with_labels_from_one_is_renumbered():
    class FromOne:
        name = "own"

        def __call__(self, pixels):
            return choose_segmentation("slic", 0)(pixels) + 1

    explanation = ours(FromOne())[0]
    assert explanation.neighbourhood.segments.min() == 0
    right = ours("slic")[0]
    for label, surrogate in right.surrogates.items():
        np.testing.assert_allclose(explanation.surrogates[label].weights, surrogate.weights, rtol=0, atol=1e-9)


def test_stock_loses_the_seed_of_quickshift_and_ours_hands_it_over():
    from lime.wrappers.scikit_image import SegmentationAlgorithm

    lost = SegmentationAlgorithm("quickshift", kernel_size=4, max_dist=200, ratio=0.2, random_seed=1)
    assert "random_seed" not in lost.target_params
    assert choose_segmentation("quickshift", 1).parameters["rng"] == 1


def test_a_second_call_answers_as_the_first_where_a_reused_explainer_does_not():
    from lime.lime_image import LimeImageExplainer

    reused = LimeImageExplainer(random_state=0)
    cut = choose_segmentation("quickshift", 0)
    first, second = (
        stock_weights(reused.explain_instance(PIXELS, toy_model(), segmentation_fn=cut, **vars(SETTINGS)), label)
        for label in [stock_lime(PIXELS, toy_model(), **vars(SETTINGS)).top_labels[0]] * 2
    )
    assert not np.allclose(first, second, atol=1e-9)
    again = [ours()[0].surrogates for _ in range(2)]
    for label in again[0]:
        np.testing.assert_array_equal(again[0][label].weights, again[1][label].weights)


def test_seeds_share_superpixels_and_each_equals_its_own_run():
    shared = ours("slic", seeds=[0, 1, 2])
    for seed, explanation in enumerate(shared):
        alone = ours("slic", seeds=[seed])[0]
        for label, surrogate in alone.surrogates.items():
            np.testing.assert_allclose(explanation.surrogates[label].weights, surrogate.weights, rtol=0, atol=1e-12)
    assert not np.array_equal(shared[0].neighbourhood.samples, shared[1].neighbourhood.samples)


def test_a_class_outside_the_top_is_explained_on_request():
    explanation = ours(settings=LimeSettings(num_samples=150, top_labels=1))[0]
    least = int(np.argmin(explanation.neighbourhood.probabilities[0]))
    more = ours(settings=LimeSettings(num_samples=150, top_labels=1), labels=[least])[0]
    everything = ours(settings=LimeSettings(num_samples=150, top_labels=7))[0]
    assert list(more.surrogates) == [*explanation.surrogates, least]
    np.testing.assert_allclose(more.surrogates[least].weights, everything.surrogates[least].weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [50, 120])
def test_the_first_samples_of_a_long_run_are_the_short_run(count):
    long = ours("slic", LimeSettings(num_samples=200))[0].neighbourhood
    short = ours("slic", LimeSettings(num_samples=count))[0]
    np.testing.assert_array_equal(long.first(count).samples, short.neighbourhood.samples)
    for label, surrogate in short.surrogates.items():
        again = fit(long.first(count), label, 100_000)
        np.testing.assert_allclose(again.weights, surrogate.weights, rtol=0, atol=1e-12)


def test_the_image_is_left_alone():
    pixels = PIXELS.copy()
    ours(pixels=pixels)
    np.testing.assert_array_equal(pixels, PIXELS)


def test_logits_are_refused_with_a_word_about_softmax():
    with pytest.raises(ModelMisbehaves, match="apply a softmax"):
        check_probabilities(torch.from_numpy(np.log(toy_model()(PIXELS[None]))))


@pytest.mark.parametrize("name", ["num_samples", "top_labels", "num_features", "batch_size"])
def test_numbers_that_are_too_small_are_refused(name):
    with pytest.raises(UsageError, match=name):
        LimeSettings(**{name: 0})


def test_more_top_labels_than_classes_gives_all_classes():
    assert len(ours(settings=LimeSettings(num_samples=50, top_labels=99))[0].surrogates) == 7


class Cells:
    """A segmentation into any number of stripes of pixels."""

    name = "cells"

    def __init__(self, count):
        self.count = count

    def __call__(self, pixels):
        size = pixels.shape[0] * pixels.shape[1]
        return (np.arange(size) * self.count // size).reshape(pixels.shape[:2])


@pytest.mark.parametrize(("count", "num_samples"), [(1, 20), (2, 20), (400, 30)])
def test_any_number_of_superpixels_equals_stock(count, num_samples):
    settings = LimeSettings(num_samples=num_samples, top_labels=2)
    stock = stock_lime(PIXELS, toy_model(), segmentation_fn=Cells(count), **vars(settings))
    explanation = ours(Cells(count), settings)[0]
    for label in stock.top_labels:
        weights = explanation.surrogates[label].weights
        assert weights.shape == (count,)
        np.testing.assert_allclose(weights, stock_weights(stock, label), rtol=0, atol=1e-9)


def test_ten_thousand_superpixels_are_explained():
    pixels = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    explanation = ours(Cells(9_000), LimeSettings(num_samples=20, top_labels=1), pixels=pixels)[0]
    (surrogate,) = explanation.surrogates.values()
    assert surrogate.weights.shape == (9_000,) and np.isfinite(surrogate.weights).all()


def test_an_image_of_one_colour_has_weights_of_0():
    plain = np.full((40, 40, 3), 90, dtype=np.uint8)
    explanation = ours("slic", LimeSettings(num_samples=50, top_labels=1), pixels=plain)[0]
    (surrogate,) = explanation.surrogates.values()
    # Hiding a superpixel changes nothing, because it is replaced by the same colour.
    np.testing.assert_allclose(surrogate.weights, 0.0, atol=1e-12)


class OtherRanks:
    """Predicts like a model, but swaps the two best classes of the unchanged image from one seed to the next."""

    def __init__(self):
        self.images, self.calls = PerturbedImages(on_tensors(toy_model()), 10), 0

    def probabilities(self, *given):
        predicted = self.images.probabilities(*given).copy()
        self.calls += 1
        if self.calls % 2 == 0:
            best = np.argsort(predicted[0])[::-1][:2]
            predicted[0, best] = predicted[0, best[::-1]]
        return predicted


@pytest.mark.parametrize("top_labels", [1, 2])
def test_every_seed_explains_the_classes_of_the_first_whatever_their_ranks(top_labels):
    settings = LimeSettings(num_samples=60, top_labels=top_labels)
    cut = choose_segmentation("slic", 0)
    found = explain_by_lime(PIXELS, OtherRanks(), cut, settings, labels=[5], seeds=[0, 1, 2])
    classes = list(found[0].surrogates)
    for each in found:
        assert set(classes) <= set(each.surrogates)
        for label in classes:
            np.testing.assert_array_equal(
                each.surrogates[label].weights, fit(each.neighbourhood, label, settings.num_features).weights
            )
    run = LimeRun(found, 5, 0.0)
    assert run.weights(classes[0]).shape == (3, run.segments.max() + 1) and len(run.stages) > 0
