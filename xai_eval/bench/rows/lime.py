"""LIME over a set of images, and the search over its settings, beside lime called plainly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.bench.contest import Contest
from xai_eval.bench.row import Row
from xai_eval.bench.scenes import random_classifier, scene_pixels
from xai_eval.bench.size import Size
from xai_eval.bench.stock_lime import stock_lime, stock_weights
from xai_eval.explainers.lime.lime import Drawn, LimeQuestion, LimeSettings, explain_each
from xai_eval.explainers.lime.lime_search import Grid, LimeSearch, Setting, draws, search
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.probabilities import Predict, probabilities
from xai_eval.explainers.lime.segmentation import choose_segmentation
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.later_checks import checked_at_the_end
from xai_eval.inputs.steps import Steps, Turn, in_order, items_ahead

Pixels = NDArray[np.uint8]
# Weights by class.
Weights = Mapping[int, NDArray[np.float64]]
# Batches of other sizes round otherwise, more so in the reduced precision that GPUs use by default. As a share of the
# largest weight of a class.
_TOLERANCE = 0.02
_NETWORK = "resnet18"
_STOCK_SETTINGS, _STOCK_IMAGES = 2, 2
_BATCH = 10


def lime_row(size: Size) -> Row:
    """Return the row of a set of images."""
    what = "lime, image by image"
    return Row(f"lime, {size.lime_images} images", what, "the model on all samples", partial(_set_of_images, size))


def search_row(size: Size) -> Row:
    """Return the row of the search over LIME's settings."""
    images = min(_STOCK_IMAGES, size.search_images)
    what = f"lime with {_STOCK_SETTINGS} of the {len(Grid().settings)} settings, images: {images}"
    name = f"{len(Grid().settings)} settings of lime, images: {size.search_images}"
    return Row(name, what, "the model on all distinct samples", partial(_search, size))


@contextmanager
def _set_of_images(size: Size, device: torch.device) -> Iterator[Contest]:
    classifier = random_classifier(_NETWORK, size.side, device)
    images = [scene_pixels(3 + each, size.side) for each in range(size.lime_images)]
    settings = LimeSettings(num_samples=size.samples, batch_size=_BATCH)
    cut, predict = choose_segmentation("slic", 0), probabilities(classifier)

    def stock(images: Sequence[Pixels] = images, samples: int = size.samples) -> list[Weights]:
        options: dict[str, Any] = {"segmentation_fn": cut, "num_samples": samples, "batch_size": settings.batch_size}
        found = [stock_lime(each, _plain(classifier), **options) for each in images]
        return [{label: stock_weights(each, label) for label in each.top_labels} for each in found]

    def ours(images: Sequence[Pixels] = images, settings: LimeSettings = settings) -> list[Weights]:
        asked = [LimeQuestion(each, PerturbedImages(predict, _BATCH, device), cut, settings) for each in images]
        found = [each for (each,) in explain_each(asked, ahead=items_ahead(device))]
        return [{label: each.weights for label, each in one.surrogates.items()} for one in found]

    def warm_up() -> None:
        few = replace(settings, num_samples=_BATCH)
        stock(images[:1], few.num_samples)
        ours(images[:1], few)

    samples = partial(_model_alone, predict, images[0], size.samples * len(images), settings.batch_size, device)
    yield Contest(stock, ours, _largest_difference, _TOLERANCE, samples, warm_up)


@contextmanager
def _search(size: Size, device: torch.device) -> Iterator[Contest]:
    classifier, grid = random_classifier(_NETWORK, size.side, device), Grid()
    images = [scene_pixels(3 + each, size.side) for each in range(size.search_images)]
    looked_at = images[:_STOCK_IMAGES]
    predict, batch = probabilities(classifier), max(grid.batch_size)
    cells = [grid.settings[each] for each in np.random.default_rng(0).choice(len(grid.settings), _STOCK_SETTINGS)]

    def stock() -> list[Weights]:
        return [_plainly(pixels, classifier, cell) for pixels in looked_at for cell in cells]

    def ours(images: Sequence[Pixels] = images, grid: Grid = grid) -> list[LimeSearch]:
        def ask(pixels: Pixels, turn: Turn[Sequence[Callable[[], Drawn]]]) -> LimeSearch:
            return search(pixels, PerturbedImages(predict, batch, device), grid, turn)

        steps = Steps(lambda pixels: draws(pixels, grid), ask, lambda _, found: _all_settings(found, grid))
        return list(in_order(steps, images, ahead=items_ahead(device)))

    def difference(stock: Sequence[Weights], found: Sequence[LimeSearch]) -> float:
        pairs = [(one, cell) for one in found[: len(looked_at)] for cell in cells]
        return _largest_difference(
            stock,
            [{label: one.surrogate(cell, label).weights for label in one.top_labels(cell)} for one, cell in pairs],
        )

    def warm_up() -> None:
        few = Grid(segmentation=grid.segmentation, num_samples=(_BATCH,), num_features=(100,), top_labels=(1,))
        _plainly(images[0], classifier, replace(cells[0], num_samples=_BATCH))
        ours(images[:1], few)

    count = len(grid.segmentation) * max(grid.num_samples) * len(images)
    yield Contest(
        stock,
        ours,
        difference,
        _TOLERANCE,
        partial(_model_alone, predict, images[0], count, batch, device),
        warm_up,
        scale=len(grid.settings) / len(cells) * len(images) / len(looked_at),
    )


def _all_settings(found: LimeSearch, grid: Grid) -> LimeSearch:
    """Fit the surrogates of every setting, which are fitted when they are first asked for."""
    for setting in grid.settings:
        for label in found.top_labels(setting):
            found.surrogate(setting, label)
    return found


def _plainly(pixels: Pixels, classifier: Classifier, cell: Setting) -> Weights:
    named = cell.segmentation != "none"
    explanation = stock_lime(
        pixels,
        _plain(classifier),
        segmentation_fn=choose_segmentation(cell.segmentation, 0) if named else None,
        num_samples=cell.num_samples,
        num_features=cell.num_features,
        top_labels=cell.top_labels,
        batch_size=cell.batch_size,
    )
    return {label: stock_weights(explanation, label) for label in explanation.top_labels}


def _plain(classifier: Classifier) -> Callable[[Pixels], Any]:
    """Return the function that users of lime write: it takes views as arrays, and returns probabilities."""

    def predict(views: Pixels) -> Any:
        with torch.inference_mode():
            batch = classifier.preprocess.from_view(torch.from_numpy(np.ascontiguousarray(views)).to(classifier.device))
            return classifier.module(batch).softmax(dim=1).cpu().numpy()

    return predict


def _model_alone(predict: Predict, pixels: Pixels, count: int, batch: int, device: torch.device) -> None:
    """Run the model on as many views, which are the same ones again and again."""
    views = torch.from_numpy(pixels.copy()).to(device).expand(batch, -1, -1, -1).contiguous()
    with checked_at_the_end():  # as in ours: to look at each batch would make the limit slower than it is
        for start in range(0, count, batch):
            predict(views[: count - start])


def _largest_difference(stock: Sequence[Weights], ours: Sequence[Weights]) -> float:
    """Return the largest difference of weights, as a share of the largest weight of the class."""
    found = [_of_one(*pair) for pair in zip(stock, ours, strict=True)]
    return max(found)


def _of_one(stock: Weights, ours: Weights) -> float:
    # Nearly equal classes may swap their ranks, so that the last one is not explained by both.
    both = set(stock) & set(ours)
    if not both:
        return float("inf")
    return max(float(np.abs(stock[each] - ours[each]).max() / np.abs(stock[each]).max()) for each in both)
