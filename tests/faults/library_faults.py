"""Faults in the libraries that explain: pytorch-grad-cam, lime and what it calls, and the parts of a dissection."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import cv2
import lime.lime_base
import lime.lime_image
import numpy as np
import pytorch_grad_cam
import pytorch_grad_cam.base_cam
import pytorch_grad_cam.eigen_cam
import skimage.segmentation
import torch
from fault import ERROR, LIME_TASKS, Fault, both, everywhere, replaced
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from sklearn.linear_model import Ridge

from xai_eval.explainers import cams, perturbation
from xai_eval.explainers import lime as our_lime
from xai_eval.explainers.dissection import by_clip, by_pixels, observe, sweep
from xai_eval.explainers.dissection.similarity import SIMILARITIES
from xai_eval.explainers.perturbation import PerturbedPictures
from xai_eval.explainers.segmentation import in_reading_order, numbered
from xai_eval.inputs import clip
from xai_eval.metrics.superpixels import positive_map
from xai_eval.tasks import dissection_pass, dissection_units

CAM_TASKS = ("cams", "lime", "comparison", "hybrid", "lime_search")


def scaled(factor: Any) -> Any:
    return lambda original: lambda *args, **options: factor(original(*args, **options))


def slightly_off(weights: Any) -> Any:
    return weights * (1 + 0.05 * np.random.default_rng(0).standard_normal(np.shape(weights)))


def with_nan(weights: Any) -> Any:
    spoiled = np.array(weights, dtype=np.float32)
    spoiled[0, 0] = np.nan
    return spoiled


def smoother(original: Any) -> Any:
    return lambda image, size, **options: original(image, size, interpolation=cv2.INTER_CUBIC)


def nearest(original: Any) -> Any:
    return lambda image, size, **options: original(image, size, interpolation=cv2.INTER_NEAREST)


def without_minimum(cam: Any, target_size: Any = None) -> Any:
    result = [np.float32(each / (1e-7 + np.max(each))) for each in cam]
    return np.stack([cv2.resize(each, target_size) if target_size is not None else each for each in result])


def raises(error: Exception) -> Any:
    def make(_original: Any) -> Any:
        def call(*_args: Any, **_options: Any) -> Any:
            raise error

        return call

    return make


def shared_state() -> Any:
    kept: list[Any] = []

    def make(original: Any) -> Any:
        def check(state: Any) -> Any:
            kept.append(state if isinstance(state, np.random.RandomState) else original(state))
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
    return lambda rows, *args: original(rows, *args).flip(0)


def first_batch_only(original: Any) -> Any:
    def probabilities(self: Any, *args: Any) -> Any:
        found = original(self, *args)
        found[self.batch_size :] = found[0]
        return found

    return probabilities


def half_the_prior(original: Any) -> Any:
    """The prior of soft-WPMI over half of the units."""

    def score(similarity: Any, activations: Any, **options: Any) -> Any:
        half = activations.shape[1] // 2
        parts = activations[:, :half], activations[:, half:]
        return np.concatenate([original(similarity, part, **options) for part in parts])

    return score


def clip_in_training(original: Any) -> Any:
    def start(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self.module.train()

    return start


class Remembered:
    """Activations by the name of the layer alone: those of the first batch are taken for all."""

    def __init__(self, original: Any) -> None:
        self.original, self.known = original, None

    def __call__(self, model: Any, batch: torch.Tensor) -> Any:
        if self.known is None or len(next(iter(self.known.values()))) != len(batch):
            self.known = self.original(model, batch)
        return self.known


def scored(name: str, make: Any) -> Any:
    """Replace one function of similarity."""
    return replaced(by_clip, "SIMILARITIES", lambda table: {**table, name: make(SIMILARITIES[name])})


def second_best(original: Any) -> Any:
    def best(*args: Any) -> Any:
        found = original(*args)
        swapped = found["second"].where(found["second"].notna(), found["label"])
        return found.assign(label=swapped, second=found["label"])

    return best


CAMS = (
    Fault(
        "gradients are summed, not averaged",
        "library",
        ("cams",),
        "raw map gradcam",
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", scaled(lambda weights: weights * 4)),
    ),
    Fault(
        "absolute gradients",
        "library",
        CAM_TASKS,
        "map gradcam",
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", scaled(np.abs)),
    ),
    Fault(
        "weights of Grad-CAM off by 5 %",
        "library",
        ("cams",),
        "raw map gradcam",
        replaced(
            pytorch_grad_cam.GradCAM,
            "get_cam_weights",
            scaled(slightly_off),
        ),
    ),
    Fault(
        "ScoreCAM divides by zero on a dead channel",
        "library",
        ("cams",),
        "raw map scorecam",
        replaced(pytorch_grad_cam.ScoreCAM, "get_cam_weights", scaled(with_nan)),
        "9",
    ),
    Fault(
        "ScoreCAM softens its scores",
        "library",
        ("cams",),
        "raw map scorecam",
        replaced(pytorch_grad_cam.ScoreCAM, "get_cam_weights", scaled(lambda w: np.sqrt(w) / np.sqrt(w).sum())),
    ),
    Fault(
        "AblationCAM gives nothing",
        "library",
        ("cams",),
        "raw map ablationcam",
        replaced(pytorch_grad_cam.AblationCAM, "get_cam_weights", scaled(lambda weights: weights * 0)),
        "10",
    ),
    Fault(
        "the sign of EigenCAM",
        "library",
        ("cams",),
        "raw map eigencam",
        replaced(pytorch_grad_cam.eigen_cam, "get_2d_projection", scaled(lambda cam: -cam)),
        "11",
    ),
    Fault("bicubic scaling of maps", "library", CAM_TASKS, "final map", replaced(cv2, "resize", smoother), "3"),
    Fault("scaling of maps by nearest neighbour", "library", CAM_TASKS, "final map", replaced(cv2, "resize", nearest)),
    Fault(
        "maps are scaled without their minimum",
        "library",
        ("cams",),
        "final map",
        replaced(pytorch_grad_cam.base_cam, "scale_cam_image", lambda _: without_minimum),
    ),
    Fault(
        "maps move down at the end",
        "library",
        CAM_TASKS,
        "final map",
        replaced(pytorch_grad_cam.base_cam, "scale_cam_image", scaled(lambda cam: np.roll(cam, 1, axis=1))),
    ),
    Fault(
        "targets take another argument",
        "library",
        CAM_TASKS,
        ERROR,
        replaced(ClassifierOutputTarget, "__call__", raises(TypeError("missing argument: targets"))),
        "13",
    ),
    Fault(
        "backward hooks and in-place ReLU",
        "library",
        CAM_TASKS,
        ERROR,
        replaced(ActivationsAndGradients, "save_gradient", raises(RuntimeError("a view is modified inplace"))),
        "5",
    ),
    Fault(
        "hooks on gradients are skipped",
        "library",
        CAM_TASKS,
        ERROR,
        replaced(ActivationsAndGradients, "save_gradient", lambda _: lambda *_args: None),
        "6",
    ),
    Fault(
        "the library leaves its hooks in the model",
        "model state",
        ("cams", "lime"),
        "model state: hooks",
        both(
            replaced(cams, "preserved", lambda _: nullcontext),
            replaced(cams, "_release", lambda _: lambda _recorder: None),
            replaced(ActivationsAndGradients, "release", lambda _: lambda _self: None),
        ),
        "8",
    ),
)

LIME = (
    Fault(
        "superpixels begin at 1, so that the first is a dummy",
        "lime",
        ("lime",),
        "samples",
        both(
            everywhere(numbered, lambda o: lambda labels: o(labels) + 1),
            everywhere(in_reading_order, lambda o: lambda labels: np.concatenate([[labels.max()], o(labels)])),
        ),
        "15",
    ),
    Fault(
        "slic scales its input",
        "lime",
        LIME_TASKS,
        "segments",
        replaced(skimage.segmentation, "slic", lambda o: lambda p, **k: o(p, **{**k, "compactness": 200.0})),
        "16",
    ),
    Fault(
        "other superpixels",
        "lime",
        LIME_TASKS,
        "segments",
        replaced(skimage.segmentation, "slic", lambda o: lambda p, **k: o(p, **{**k, "sigma": 1.2})),
    ),
    Fault(
        "superpixels in another order",
        "lime",
        ("lime", "comparison"),
        "segments",
        everywhere(in_reading_order, lambda o: lambda labels: o(labels).max() - o(labels)),
    ),
    Fault(
        "an explainer is used again",
        "lime",
        LIME_TASKS,
        "samples",
        replaced(lime.lime_image, "check_random_state", shared_state()),
        "17",
    ),
    Fault(
        "another stream of random numbers",
        "lime",
        LIME_TASKS,
        "samples",
        replaced(lime.lime_image, "check_random_state", other_stream),
    ),
    Fault(
        "alpha 0.01",
        "lime",
        LIME_TASKS,
        "weights",
        replaced(lime.lime_base, "Ridge", lambda _: lambda alpha=1.0, **k: Ridge(alpha=0.01, **k)),
        "18",
    ),
    Fault(
        "alpha 200",
        "lime",
        LIME_TASKS,
        "weights",
        replaced(lime.lime_base, "Ridge", lambda _: lambda alpha=1.0, **k: Ridge(alpha=200.0, **k)),
    ),
    Fault(
        "a wider kernel",
        "lime",
        LIME_TASKS,
        "weights",
        replaced(lime.lime_image.LimeImageExplainer, "__init__", initialised(kernel_width=0.5)),
    ),
    Fault(
        "another distance",
        "lime",
        ("lime_search",),
        "weights",
        replaced(our_lime, "pairwise_distances", lambda o: lambda a, b, metric: o(a, b, metric="hamming")),
    ),
    Fault(
        "lime's own distance",
        "lime",
        ("lime", "comparison", "hybrid"),
        "weights",
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
        "weights",
        replaced(lime.lime_base.LimeBase, "feature_selection", lambda o: lambda self, *a: o(self, *a)[:-2]),
    ),
    Fault(
        "hidden superpixels are black",
        "lime",
        LIME_TASKS,
        "perturbed predictions",
        replaced(PerturbedPictures, "probabilities", hidden_black),
    ),
    Fault(
        "rows of a batch change places",
        "lime",
        LIME_TASKS,
        "perturbed predictions",
        replaced(perturbation, "check_probabilities", rows_mixed_up),
    ),
    Fault(
        "only the first batch is predicted",
        "lime",
        LIME_TASKS,
        "perturbed predictions",
        replaced(PerturbedPictures, "probabilities", first_batch_only),
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
        "map lime",
        everywhere(positive_map, lambda o: lambda w, s: o(np.abs(w), s)),
    ),
)

DISSECTION = (
    Fault(
        "activations are remembered by name",
        "dissection",
        ("dissection",),
        "layer4 activations",
        replaced(sweep, "layer_outputs", Remembered),
        "23",
    ),
    Fault(
        "units are pooled by their maximum",
        "dissection",
        ("dissection",),
        "layer4 activations",
        replaced(sweep, "pooled", lambda _: lambda out: out.amax(dim=(2, 3)).cpu().numpy()),
    ),
    Fault(
        "units change places",
        "dissection",
        ("dissection",),
        "layer4 activations",
        replaced(sweep, "layer_outputs", lambda o: lambda m, b: {k: v.flip(1) for k, v in o(m, b).items()}),
    ),
    Fault(
        "the layer's map is in half precision",
        "dtype",
        ("dissection",),
        "layer4 activations",
        replaced(observe, "_checked", lambda o: lambda *a: o(*a).bfloat16().float()),
    ),
    Fault(
        "the prior runs over some units",
        "dissection",
        ("dissection",),
        "layer4 similarity",
        scored("soft_wpmi", half_the_prior),
        "24",
    ),
    Fault(
        "no prior",
        "dissection",
        ("dissection",),
        "layer4 similarity",
        scored("soft_wpmi", lambda o: lambda s, a, **k: o(s, a, **k, lam=0.0)),
    ),
    Fault(
        "words move by one",
        "dissection",
        ("dissection",),
        "word embeddings",
        replaced(clip.Clip, "embed_texts", lambda o: lambda self, t: o(self, t).roll(1, 0)),
        "25",
    ),
    Fault(
        "embeddings are not of unit length",
        "dissection",
        ("dissection",),
        "embeddings",
        replaced(clip.Clip, "embed_images", lambda o: lambda self, b: o(self, b) * 1.3),
    ),
    Fault(
        "CLIP is left in training mode",
        "model state",
        ("dissection",),
        "model state of CLIP: training flags",
        replaced(clip.Clip, "__init__", clip_in_training),
    ),
    Fault(
        "CLIP's pictures are BGR",
        "dissection",
        ("dissection",),
        "embeddings",
        replaced(clip.ClipPreprocessing, "__call__", lambda o: lambda self, i: o(self, i).flip(0)),
    ),
    Fault(
        "the least active images",
        "dissection",
        ("dissection",),
        "layer4 top-k",
        replaced(by_clip, "most_active", lambda o: lambda a, k: o(-a, k)),
    ),
    Fault(
        "another quantile",
        "dissection",
        ("dissection",),
        "layer4 overlap",
        replaced(by_pixels, "SHARE", lambda _: 0.001),
    ),
    Fault(
        "overlap by another count",
        "dissection",
        ("dissection",),
        "layer4 overlap",
        replaced(by_pixels.Counts, "iou", scaled(lambda iou: iou**2)),
    ),
    Fault(
        "labels are the second best",
        "dissection",
        ("dissection",),
        "labels",
        replaced(dissection_units, "_best_two", second_best),
    ),
    Fault(
        "words are not embedded alike",
        "dissection",
        ("dissection",),
        "layer4 similarity",
        replaced(dissection_pass, "_labelled", lambda o: lambda r, s, i, w: o(r, s, i, w[::-1])),
    ),
)
FAULTS = (*CAMS, *LIME, *DISSECTION)
