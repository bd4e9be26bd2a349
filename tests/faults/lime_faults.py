"""Faults in lime and what it calls."""

from __future__ import annotations

from typing import Any

import lime.lime_base
import lime.lime_image
import numpy as np
import skimage.segmentation
import torch
from fault import ERROR, LIME_TASKS, Fault, both, everywhere, replaced
from sklearn.linear_model import Ridge

from xai_eval.explainers.lime import lime as our_lime
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import in_reading_order, renumbered_from_zero
from xai_eval.metrics.superpixels import positive_map
from xai_eval.result.stage import StageKind


def shared_state() -> Any:
    kept: list[Any] = []

    def make(original: Any) -> Any:
        def check(state: Any) -> Any:
            if not kept:
                kept.append(state if isinstance(state, np.random.RandomState) else original(state))
                kept[0].rand()  # it was used before, whichever test comes first
            return kept[0]

        return check

    return make


def other_stream(original: Any) -> Any:
    return lambda state: original(state + 1 if isinstance(state, int) else state)


def initialised(**changes: Any) -> Any:
    def make(original: Any) -> Any:
        return lambda self, *args, **options: original(self, *args, **{**options, **changes})

    return make


def hidden_black(original: Any) -> Any:
    return lambda self, image, hidden, *rest: original(self, image, np.zeros_like(hidden), *rest)


def rows_mixed_up(original: Any) -> Any:
    return lambda self, *args: original(self, *args).flip(0)


def first_batch_only(original: Any) -> Any:
    def probabilities(self: Any, *args: Any) -> Any:
        found = original(self, *args)
        found[self.batch_size :] = found[0]
        return found

    return probabilities


def colour_one_off(original: Any) -> Any:
    return lambda self, image, hidden, *rest: original(self, image, np.maximum(hidden, 1) - 1, *rest)


class Unweighted(Ridge):
    """A regressor that takes weights of samples and ignores them."""

    def fit(self, samples: Any, values: Any, sample_weight: Any = None) -> Any:
        return super().fit(samples, values)


FAULTS = (
    Fault(
        "superpixels begin at 1, so that the first is a dummy",
        "lime",
        ("lime",),
        StageKind.SAMPLES,
        both(
            everywhere(renumbered_from_zero, lambda o: lambda labels: o(labels) + 1),
            everywhere(in_reading_order, lambda o: lambda labels: np.concatenate([[labels.max()], o(labels)])),
        ),
        "15",
    ),
    Fault(
        "slic scales its input",
        "lime",
        LIME_TASKS,
        StageKind.SEGMENTS,
        replaced(skimage.segmentation, "slic", lambda o: lambda p, **k: o(p, **{**k, "compactness": 200.0})),
        "16",
    ),
    Fault(
        "other superpixels",
        "lime",
        LIME_TASKS,
        StageKind.SEGMENTS,
        replaced(skimage.segmentation, "slic", lambda o: lambda p, **k: o(p, **{**k, "sigma": 1.2})),
    ),
    Fault(
        "superpixels in another order",
        "lime",
        ("lime", "comparison"),
        StageKind.SEGMENTS,
        everywhere(in_reading_order, lambda o: lambda labels: o(labels).max() - o(labels)),
    ),
    Fault(
        "an explainer is used again",
        "lime",
        LIME_TASKS,
        StageKind.SAMPLES,
        replaced(lime.lime_image, "check_random_state", shared_state()),
        "17",
    ),
    Fault(
        "another stream of random numbers",
        "lime",
        LIME_TASKS,
        StageKind.SAMPLES,
        replaced(lime.lime_image, "check_random_state", other_stream),
    ),
    Fault(
        "alpha 0.01",
        "lime",
        LIME_TASKS,
        StageKind.WEIGHTS,
        replaced(lime.lime_base, "Ridge", lambda _: lambda alpha=1.0, **k: Ridge(alpha=0.01, **k)),
        "18",
    ),
    Fault(
        "alpha 200",
        "lime",
        LIME_TASKS,
        StageKind.WEIGHTS,
        replaced(lime.lime_base, "Ridge", lambda _: lambda alpha=1.0, **k: Ridge(alpha=200.0, **k)),
    ),
    Fault(
        "a wider kernel",
        "lime",
        LIME_TASKS,
        StageKind.WEIGHTS,
        replaced(lime.lime_image.LimeImageExplainer, "__init__", initialised(kernel_width=0.5)),
    ),
    Fault(
        "another distance",
        "lime",
        ("lime_search",),
        StageKind.WEIGHTS,
        replaced(our_lime, "pairwise_distances", lambda o: lambda a, b, metric: o(a, b, metric="hamming")),
    ),
    Fault(
        "lime's own distance",
        "lime",
        ("lime", "comparison", "hybrid"),
        StageKind.WEIGHTS,
        replaced(
            lime.lime_image.sklearn.metrics,
            "pairwise_distances",
            lambda o: lambda a, b, metric: o(a, b, metric="hamming"),
        ),
    ),
    Fault(
        "fewer features are chosen",
        "lime",
        ("lime", "comparison", "lime_search"),
        StageKind.WEIGHTS,
        replaced(lime.lime_base.LimeBase, "feature_selection", lambda o: lambda self, *a: o(self, *a)[:-2]),
    ),
    Fault(
        "hidden superpixels are black",
        "lime",
        LIME_TASKS,
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "probabilities", hidden_black),
    ),
    Fault(
        "rows of a batch change places",
        "lime",
        LIME_TASKS,
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "_batch", rows_mixed_up),
    ),
    Fault(
        "only the first batch is predicted",
        "lime",
        LIME_TASKS,
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "probabilities", first_batch_only),
        "19",
    ),
    Fault(
        "logits in place of probabilities",
        "lime",
        LIME_TASKS,
        ERROR,
        replaced(torch.Tensor, "softmax", lambda _: lambda self, dim: self),
    ),
    Fault(
        "absolute weights are painted",
        "lime",
        ("lime", "comparison", "lime_search"),
        "metric positive_map",
        everywhere(positive_map, lambda o: lambda w, s: o(np.abs(w), s)),
    ),
    Fault(
        "hidden colour is one off",
        "lime",
        ("lime", "comparison"),
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "probabilities", colour_one_off),
    ),
    Fault(
        "samples are not weighted",
        "lime",
        ("lime", "comparison"),
        StageKind.WEIGHTS,
        replaced(lime.lime_base, "Ridge", lambda _: Unweighted),
    ),
    Fault(
        "no conversion to Lab",
        "lime",
        ("lime", "comparison"),
        StageKind.SEGMENTS,
        replaced(skimage.segmentation, "slic", lambda o: lambda p, **k: o(p, **{**k, "convert2lab": False})),
    ),
)
