"""Changes that leave an explanation what it was."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lime.lime_base
import numpy as np
import pandas as pd
import skimage.segmentation
import torch
from fault import (
    ALL_TASKS,
    Altered,
    Benign,
    changed,
    module_changed,
    preparation,
    replaced,
)
from lime.lime_base import LimeBase
from sklearn.linear_model import Ridge

from xai_eval import Classifier
from xai_eval.explainers.cam.fast import scorecam
from xai_eval.explainers.lime.perturbation import PerturbedImages


def threads(count: int) -> Any:
    @contextmanager
    def inject(classifier: Classifier) -> Iterator[Classifier]:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield classifier
        finally:
            torch.set_num_threads(before)

    return inject


@contextmanager
def without_mkldnn(classifier: Classifier) -> Iterator[Classifier]:
    with torch.backends.mkldnn.flags(enabled=False):
        yield classifier


@contextmanager
def other_global_seeds(classifier: Classifier) -> Iterator[Classifier]:
    state, arrays = torch.get_rng_state(), np.random.get_state()
    torch.manual_seed(1234)
    np.random.seed(1234)
    try:
        yield classifier
    finally:
        torch.set_rng_state(state)
        np.random.set_state(arrays)


@contextmanager
def without_gradients(classifier: Classifier) -> Iterator[Classifier]:
    with torch.no_grad():
        yield classifier


@contextmanager
def in_inference_mode(classifier: Classifier) -> Iterator[Classifier]:
    with torch.inference_mode():
        yield classifier


@contextmanager
def deterministic(classifier: Classifier) -> Iterator[Classifier]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield classifier
    finally:
        torch.use_deterministic_algorithms(False)


def in_double(classifier: Classifier) -> Classifier:
    double = Altered(classifier.preprocess, tensor=lambda t: t.double(), of_views=lambda t: t.double())
    return dataclasses.replace(classifier, module=classifier.module.double(), preprocess=double)


def channels_last(module: torch.nn.Module) -> None:
    module.to(memory_format=torch.channels_last)


def handed_over_in_training_mode(module: torch.nn.Module) -> None:
    module.train()


def frozen(module: torch.nn.Module) -> None:
    module.requires_grad_(False)


def with_gradients(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)


def batches(size: int) -> Any:
    """lime's images in batches of another size than was asked for."""

    def make(original: Any) -> Any:
        def start(self: Any, *args: Any, **options: Any) -> None:
            original(self, *args, **options)
            self.batch_size = size

        return start

    return replaced(PerturbedImages, "__init__", make)


def counted_further(module: torch.nn.Module) -> None:
    """What a batch normalisation counts while it trains."""
    for name, buffer in module.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer += 1


def nothing(classifier: Classifier) -> None:
    return None


@contextmanager
def numbers_printed_short(classifier: Classifier) -> Iterator[Classifier]:
    with np.printoptions(precision=2, threshold=3), pd.option_context("display.precision", 1):
        yield classifier


def copied(classifier: Classifier) -> Classifier:
    return dataclasses.replace(classifier, module=copy.deepcopy(classifier.module))


def annotated(module: torch.nn.Module) -> None:
    for part in module.modules():
        part.note = "nothing reads it"


def strided(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def with_strided_input(classifier: Classifier) -> Classifier:
    return dataclasses.replace(classifier, preprocess=Altered(classifier.preprocess, tensor=strided))


def by_svd(**options: Any) -> Ridge:
    return Ridge(solver="svd", **options)


def written_as_clamp(_original: Any) -> Any:
    return lambda self, x: x.clamp(min=0)


def in_their_order(_original: Any) -> Any:
    return lambda self, samples, *rest: np.arange(samples.shape[1])


def numbered_from_one(original: Any) -> Any:
    return lambda pixels, **options: original(pixels, **{**options, "start_label": 1})


def moved_a_little(values: torch.Tensor) -> torch.Tensor:
    """Move numbers by up to a millionth, always in the same way."""
    drawn = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    return values * (1 + 1e-6 * (2 * drawn - 1))


def rounding_otherwise(original: Any) -> Any:
    return lambda *args, **options: moved_a_little(original(*args, **options))


FIT = "explain_instance_with_data"


def predictions_otherwise(original: Any) -> Any:
    def fit(self: Any, data: Any, predictions: Any, *args: Any, **options: Any) -> Any:
        moved = moved_a_little(torch.from_numpy(np.array(predictions))).numpy()
        return original(self, data, moved, *args, **options)

    return fit


# The grid of the small evaluations in gate.py, but for the size of batches.
IN_BATCHES_OF_64 = {
    "segmentation": ["slic", "felzenszwalb"],
    "num_samples": [40, 60],
    "num_features": [15_000],
    "top_labels": [3],
    "batch_size": [64],
}

# A row runs where its mechanism differs. That a task gives the same twice shows in other seeds and two threads, which
# run in all of them; how a convolution rounds, in "convolutions round otherwise".
OF_EACH_KIND = ("cams", "lime", "dissection")

CHANGES = (
    Benign("run again", ("cams",), changed(nothing)),
    Benign("one thread", ("cams",), threads(1)),
    Benign("two threads", ALL_TASKS, threads(2)),
    Benign("channels last", OF_EACH_KIND, module_changed(channels_last)),
    Benign("mkldnn off", OF_EACH_KIND, without_mkldnn),
    Benign("double precision", ("cams", "lime", "lime_search"), changed(in_double)),
    Benign("handed over in training mode", OF_EACH_KIND, module_changed(handed_over_in_training_mode)),
    Benign("frozen parameters", ("cams", "hybrid"), module_changed(frozen)),
    Benign("batches counted further", ("cams", "dissection"), module_changed(counted_further)),
    Benign("gradients of a training", ("cams", "lime"), module_changed(with_gradients)),
    Benign("other global seeds", ALL_TASKS, other_global_seeds),
    Benign("no_grad around it", ("cams", "comparison", "dissection"), without_gradients),
    Benign("inference mode around it", ("cams", "lime"), in_inference_mode),
    Benign("deterministic algorithms", ("cams", "dissection"), deterministic),
    Benign("lime in batches of 3", ("lime", "hybrid"), batches(3)),
    Benign("lime in batches of 64", ("comparison", "lime_search"), batches(64)),
    Benign("ScoreCAM in batches of 3", ("cams",), replaced(scorecam, "rows_at_once", lambda _: lambda *_: 3)),
    Benign("dissection in batches of 7", ("dissection",), changed(nothing), {"batch_size": 7}),
    Benign("dissection in batches of 24", ("dissection",), changed(nothing), {"batch_size": 24}),
    Benign("a copy of the model", ("cams", "dissection"), changed(copied)),
    Benign("an attribute that nothing reads", ("cams",), module_changed(annotated)),
    Benign("strided input", ("cams", "dissection"), changed(with_strided_input)),
    Benign("ReLU written as clamp", OF_EACH_KIND, replaced(torch.nn.ReLU, "forward", written_as_clamp)),
    Benign("numbers are printed short", ("lime_search",), numbers_printed_short),
    Benign("convolutions round otherwise", ALL_TASKS, replaced(torch.nn.functional, "conv2d", rounding_otherwise)),
    Benign(
        "linear layers round otherwise", ("cams", "lime"), replaced(torch.nn.functional, "linear", rounding_otherwise)
    ),
    Benign(
        "the input rounds otherwise",
        ("cams", "lime", "comparison", "dissection"),
        preparation(tensor=moved_a_little, of_views=moved_a_little),
    ),
    Benign(
        "predictions for lime round otherwise",
        ("hybrid", "lime_search"),
        replaced(LimeBase, FIT, predictions_otherwise),
    ),
    Benign("asked for batches of 3", ("comparison", "hybrid"), changed(nothing), {"batch_size": 3}),
    Benign("asked for batches of 64", ("lime",), changed(nothing), {"batch_size": 64}),
    Benign("a search in batches of 64", ("lime_search",), changed(nothing), {"grid": IN_BATCHES_OF_64}),
    Benign("ridge regression by svd", ("lime", "lime_search"), replaced(lime.lime_base, "Ridge", lambda _: by_svd)),
    Benign(
        "features in their order", ("comparison", "hybrid"), replaced(LimeBase, "feature_selection", in_their_order)
    ),
    Benign("slic begins at 1", ("lime", "hybrid"), replaced(skimage.segmentation, "slic", numbered_from_one)),
)
