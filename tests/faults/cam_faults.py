"""Faults in pytorch-grad-cam."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import cv2
import numpy as np
import pytorch_grad_cam
import pytorch_grad_cam.base_cam
import pytorch_grad_cam.eigen_cam
from fault import ERROR, LIME_TASKS, Fault, both, replaced, scaled
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xai_eval.explainers.cam import cam_maps
from xai_eval.result.stage import Stage, StageKind

CAM_TASKS = ("cams", "lime", "comparison", "hybrid", "lime_search")


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


def of_the_probability(_original: Any) -> Any:
    return lambda self, output: output.softmax(dim=-1)[..., self.category]


def smoothed(original: Any) -> Any:
    return lambda self, images, targets: original(self, images, targets, eigen_smooth=True)


def in_eight_bits(cam: Any) -> Any:
    return np.float32(np.uint8(cam * 255) / 255)


FAULTS = (
    Fault(
        "gradients are summed, not averaged",
        "library",
        ("cams",),
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", scaled(lambda weights: weights * 4)),
    ),
    Fault(
        "absolute gradients",
        "library",
        ("cams",),
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", scaled(np.abs)),
    ),
    Fault(
        "absolute gradients",
        "library",
        LIME_TASKS,
        Stage(StageKind.FINAL_MAP, "gradcam"),
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", scaled(np.abs)),
    ),
    Fault(
        "weights of Grad-CAM off by 5 %",
        "library",
        ("cams",),
        Stage(StageKind.RAW_MAP, "gradcam"),
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
        Stage(StageKind.RAW_MAP, "scorecam"),
        replaced(pytorch_grad_cam.ScoreCAM, "get_cam_weights", scaled(with_nan)),
        "9",
    ),
    Fault(
        "ScoreCAM softens its scores",
        "library",
        ("cams",),
        Stage(StageKind.RAW_MAP, "scorecam"),
        replaced(pytorch_grad_cam.ScoreCAM, "get_cam_weights", scaled(lambda w: np.sqrt(w) / np.sqrt(w).sum())),
    ),
    Fault(
        "AblationCAM gives nothing",
        "library",
        ("cams",),
        Stage(StageKind.RAW_MAP, "ablationcam"),
        replaced(pytorch_grad_cam.AblationCAM, "get_cam_weights", scaled(lambda weights: weights * 0)),
        "10",
    ),
    Fault(
        "the sign of EigenCAM",
        "library",
        ("cams",),
        Stage(StageKind.RAW_MAP, "eigencam"),
        replaced(pytorch_grad_cam.eigen_cam, "get_2d_projection", scaled(lambda cam: -cam)),
        "11",
    ),
    Fault("bicubic scaling of maps", "library", CAM_TASKS, StageKind.FINAL_MAP, replaced(cv2, "resize", smoother), "3"),
    Fault(
        "scaling of maps by nearest neighbour",
        "library",
        CAM_TASKS,
        StageKind.FINAL_MAP,
        replaced(cv2, "resize", nearest),
    ),
    Fault(
        "maps are scaled without their minimum",
        "library",
        ("cams",),
        StageKind.FINAL_MAP,
        replaced(pytorch_grad_cam.base_cam, "scale_cam_image", lambda _: without_minimum),
    ),
    Fault(
        "maps move down at the end",
        "library",
        CAM_TASKS,
        StageKind.FINAL_MAP,
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
        StageKind.HOOKS,
        both(
            replaced(cam_maps, "preserved", lambda _: nullcontext),
            replaced(cam_maps, "_release", lambda _: lambda _recorder: None),
            replaced(ActivationsAndGradients, "release", lambda _: lambda _self: None),
        ),
        "8",
    ),
    Fault(
        "gradients of the probability",
        "target",
        ("cams",),
        StageKind.RAW_MAP,
        replaced(ClassifierOutputTarget, "__call__", of_the_probability),
    ),
    Fault(
        "eigen smoothing is on",
        "library",
        ("cams",),
        StageKind.RAW_MAP,
        replaced(pytorch_grad_cam.base_cam.BaseCAM, "__call__", smoothed),
    ),
    Fault(
        "maps of eight bits",
        "library",
        ("cams", "comparison"),
        StageKind.FINAL_MAP,
        replaced(pytorch_grad_cam.base_cam, "scale_cam_image", scaled(in_eight_bits)),
    ),
)
