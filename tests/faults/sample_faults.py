"""More faults in lime, in what it calls, and in what lies between its seeds."""

from __future__ import annotations

import dataclasses
from typing import Any

import lime.lime_base
import lime.lime_image
import numpy as np
import skimage.segmentation
import torch
from fault import ERROR, Fault, everywhere, replaced, scaled
from sklearn.linear_model import Ridge
from torch import nn

from xai_eval.explainers.lime import lime as our_lime
from xai_eval.explainers.lime import lime_search
from xai_eval.explainers.lime.lime import Neighbourhood
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.lime.lime_runs import LimeSteps

QUICKSHIFT = {"segmentation": "quickshift", "segmentation_parameters": None, "seeds": 1, "top_labels": 1}


class OtherRidge(Ridge):
    """The regressor of lime, of which one call does something else."""

    what = ""

    def fit(self, samples: Any, values: Any, sample_weight: Any = None) -> Any:
        """Fit to samples, with the root of their weights if that is asked for."""
        return super().fit(samples, values, sample_weight)

    def score(self, samples: Any, values: Any, sample_weight: Any = None) -> Any:
        """Return R2, without weights if that is asked for."""
        return super().score(samples, values, None if self.what == "score" else sample_weight)

    def predict(self, samples: Any) -> Any:
        """Return predictions; for one row, of another row if that is asked for."""
        other = self.what == "row" and len(samples) == 1
        return super().predict(samples * np.r_[0, np.ones(samples.shape[1] - 1)] if other else samples)


def regressor(what: str = "", **changes: Any) -> Any:
    kind = type("Changed", (OtherRidge,), {"what": what})
    return replaced(lime.lime_base, "Ridge", lambda _: lambda **given: kind(**{**given, **changes}))


def without_root(original: Any) -> Any:
    """The kernel of lime without its square root."""

    def start(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options, kernel=lambda d, kernel_width: np.exp(-(d**2) / kernel_width**2))

    return start


def mean_of_the_image(original: Any) -> Any:
    """What is hidden gets the mean colour of the whole image, not of its superpixel."""

    def predicted(self: Any, image: Any, hidden: Any, *rest: Any) -> Any:
        mean = image.reshape(-1, 3).mean(axis=0).astype(np.uint8)
        return original(self, image, np.broadcast_to(mean, image.shape).copy(), *rest)

    return predicted


def colour_of_the_image_before(original: Any) -> Any:
    kept: list[Any] = []

    def predicted(self: Any, image: Any, hidden: Any, *rest: Any) -> Any:
        kept.append((image.shape, image.tobytes(), hidden))
        other = [each for shape, source, each in kept if shape == image.shape and source != image.tobytes()]
        return original(self, image, other[-1] if other else hidden, *rest)

    return predicted


def remembered_for_good(original: Any) -> Any:
    """Predictions of a network are remembered by the number of the sample alone, over all images but the tiny one.

    A trial asks for the tiny one twice, so that the fault would begin there for the first image, and later for others.
    """
    known: dict[tuple[int, int], Any] = {}

    def predicted(self: Any, image: Any, *args: Any) -> Any:
        found = original(self, image, *args)
        if len(image) < 32:
            return found
        return np.stack([known.setdefault((each.size, place), each) for place, each in enumerate(found)])

    return predicted


def shifted_by_one(original: Any) -> Any:
    return lambda self, *args: np.roll(original(self, *args), 1, axis=0)


def in_half_precision(original: Any) -> Any:
    return lambda self, *args: original(self, *args).half().float()


def statistics_of_the_batch(original: Any) -> Any:
    """Batch norm uses the statistics of the batch where there is more than one image."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        if len(x) == 1:
            return original(self, x)
        return nn.functional.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)

    return forward


def first_sample_drawn(original: Any) -> Any:
    """The first sample is drawn like all others."""

    def labels(self: Any, image: Any, fudged: Any, segments: Any, function: Any, count: int, **options: Any) -> Any:
        class Drawn(np.ndarray):
            def __setitem__(self, key: Any, value: Any) -> None:
                if key != 0:
                    super().__setitem__(key, value)

        state = self.random_state
        self.random_state = _Drawing(state, Drawn)
        try:
            return original(self, image, fudged, segments, function, count, **options)
        finally:
            self.random_state = state

    return labels


class _Drawing:
    def __init__(self, state: Any, kind: Any, share: float = 0.5) -> None:
        self.state, self.kind, self.share = state, kind, share

    def randint(self, low: int, high: int, count: int) -> Any:
        """Draw samples."""
        return (self.state.random_sample(count) < self.share).astype(np.int64).view(self.kind)


def kept_more_often(original: Any) -> Any:
    def labels(self: Any, *args: Any, **options: Any) -> Any:
        state = self.random_state
        self.random_state = _Drawing(state, np.ndarray, 0.6)
        try:
            return original(self, *args, **options)
        finally:
            self.random_state = state

    return labels


def of_the_next_class(original: Any) -> Any:
    def explained(self: Any, data: Any, labels: Any, distances: Any, label: int, *rest: Any, **options: Any) -> Any:
        return original(self, data, np.roll(labels, 1, axis=1), distances, label, *rest, **options)

    return explained


def to_the_last_sample(original: Any) -> Any:
    return lambda data, first, metric: original(data, data[-1:], metric=metric)


def cityblock(original: Any) -> Any:
    return lambda data, first, metric: original(data, first, metric="cityblock") / data.shape[1]


def same_seed_again(original: Any) -> Any:
    return lambda pixels, cut, settings, seeds: original(pixels, cut, settings, [seeds[0]] * len(seeds))


def next_seeds(original: Any) -> Any:
    return lambda self, view: original(dataclasses.replace(self, seeds=[each + 1 for each in self.seeds]), view)


def slic(**changes: Any) -> Any:
    return replaced(skimage.segmentation, "slic", lambda o: lambda p, **k: o(p, **{**k, **changes}))


def sampled(name: str, tasks: tuple[str, ...], stage: Any, inject: Any, kind: str = "lime", **given: Any) -> Fault:
    return Fault(name, kind, tasks, stage, inject, **given)


PREDICTIONS, WEIGHTS, SAMPLES = StageKind.PERTURBED_PREDICTIONS, StageKind.WEIGHTS, StageKind.SAMPLES
DATA_LABELS = (our_lime._Explainer, "data_labels")
FAULTS = (
    sampled(
        "the kernel has no root",
        ("lime", "comparison"),
        WEIGHTS,
        replaced(lime.lime_image.LimeImageExplainer, "__init__", without_root),
    ),
    sampled("the regression has no intercept", ("lime",), WEIGHTS, regressor(fit_intercept=False)),
    sampled("R2 is not weighted", ("lime", "lime_search"), StageKind.SURROGATES, regressor("score")),
    sampled("the surrogate predicts another sample", ("lime",), StageKind.SURROGATES, regressor("row")),
    sampled(
        "hidden superpixels have the mean colour of the image",
        ("lime", "hybrid"),
        PREDICTIONS,
        replaced(PerturbedImages, "probabilities", mean_of_the_image),
    ),
    sampled(
        "hidden colours of the image before",
        ("comparison",),
        PREDICTIONS,
        replaced(PerturbedImages, "probabilities", colour_of_the_image_before),
    ),
    sampled(
        "predictions of the image before",
        ("comparison",),
        PREDICTIONS,
        replaced(PerturbedImages, "probabilities", remembered_for_good),
    ),
    sampled(
        "predictions are one sample off",
        ("lime", "lime_search"),
        PREDICTIONS,
        replaced(PerturbedImages, "_predicted", shifted_by_one),
    ),
    sampled(
        "predictions in half precision",
        ("lime",),
        PREDICTIONS,
        replaced(PerturbedImages, "_batch", in_half_precision),
        kind="dtype",
    ),
    sampled(
        "batch norm takes the statistics of the batch",
        ("lime",),
        ERROR,
        replaced(nn.BatchNorm2d, "forward", statistics_of_the_batch),
        kind="layer",
    ),
    # CLIP has batch norm as well, and comes first.
    sampled(
        "batch norm takes the statistics of the batch",
        ("dissection",),
        StageKind.EMBEDDINGS,
        replaced(nn.BatchNorm2d, "forward", statistics_of_the_batch),
        kind="layer",
    ),
    sampled("the first sample hides superpixels", ("lime",), SAMPLES, replaced(*DATA_LABELS, first_sample_drawn)),
    sampled("superpixels are kept more often", ("lime",), SAMPLES, replaced(*DATA_LABELS, kept_more_often)),
    sampled(
        "the surrogate is fitted to the next class",
        ("lime", "hybrid"),
        WEIGHTS,
        replaced(lime.lime_base.LimeBase, "explain_instance_with_data", of_the_next_class),
    ),
    sampled(
        "distances to the last sample",
        ("lime",),
        WEIGHTS,
        replaced(lime.lime_image.sklearn.metrics, "pairwise_distances", to_the_last_sample),
    ),
    sampled(
        "distances along the axes",
        ("lime_search",),
        WEIGHTS,
        replaced(our_lime, "pairwise_distances", cityblock),
    ),
    sampled("superpixels may be in pieces", ("lime",), StageKind.SEGMENTS, slic(enforce_connectivity=False)),
    sampled("compactness adapts itself", ("lime", "hybrid"), StageKind.SEGMENTS, slic(slic_zero=True)),
    sampled(
        "small superpixels of felzenszwalb stay",
        ("lime_search",),
        Stage(StageKind.SEGMENTS, "felzenszwalb"),
        replaced(skimage.segmentation, "felzenszwalb", lambda o: lambda p, **k: o(p, **{**k, "min_size": 20})),
    ),
    sampled(
        "quickshift's ratio",
        ("lime",),
        StageKind.SEGMENTS,
        replaced(skimage.segmentation, "quickshift", lambda o: lambda p, **k: o(p, **{**k, "ratio": 0.25})),
        parameters=QUICKSHIFT,
    ),
    sampled("every seed is the first", ("lime",), SAMPLES, everywhere(our_lime.draw, same_seed_again), kind="seeds"),
    sampled("seeds begin one later", ("comparison",), SAMPLES, replaced(LimeSteps, "draw", next_seeds), kind="seeds"),
    sampled(
        "fewer samples are the last rows",
        ("lime_search",),
        WEIGHTS,
        replaced(
            Neighbourhood,
            "first",
            lambda _: lambda self, n: Neighbourhood(self.segments, self.samples[-n:], self.probabilities[-n:]),
        ),
        kind="search",
    ),
    sampled(
        "a search takes the seed of the next",
        ("lime_search",),
        SAMPLES,
        replaced(lime_search, "draw", lambda o: lambda *a: o(*a[:-1], [each + 1 for each in a[-1]])),
        kind="seeds",
    ),
    sampled(
        "weights are rounded to two digits",
        ("lime",),
        WEIGHTS,
        replaced(our_lime, "_surrogate", scaled(lambda s: type(s)(s.label, s.weights.round(2), *_rest(s)))),
    ),
)


def _rest(surrogate: Any) -> tuple[float, float, float]:
    return surrogate.intercept, surrogate.r2, surrogate.prediction
