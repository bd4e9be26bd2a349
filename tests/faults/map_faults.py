"""Faults in library code that makes maps: one line of pytorch-grad-cam, of what it calls, or of captum."""

from __future__ import annotations

import functools
import types
from typing import Any

import captum.attr
import captum.attr._core.input_x_gradient
import cv2
import numpy as np
import pytorch_grad_cam
import pytorch_grad_cam.ablation_cam
import pytorch_grad_cam.base_cam
import pytorch_grad_cam.eigen_cam
import pytorch_grad_cam.layer_cam
import torch
from fault import Fault, everywhere, replaced, scaled

from xai_eval.explainers.attribution import methods as attribution_methods
from xai_eval.explainers.attribution.methods import score, signed_map
from xai_eval.explainers.cam import cam_maps
from xai_eval.explainers.cam.side_effects import seeded
from xai_eval.explainers.model.random_state import all_seeded
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import attribution_results

# Behind the last layer all places have the same gradient, which hides what is done with it.
AT_LAYER3 = {"layer": "layer3", "methods": ["gradcam"]}
GRADIENT_METHODS = {
    "layer": "layer3",
    "methods": ["gradcam++", "xgradcam", "layercam", "hirescam", "gradcamelementwise", "randomcam"],
}
SAMPLED = {"methods": ["smoothgrad", "gradient_shap", "occlusion"], "samples": 6}
FROM_BLACK = {"methods": ["integrated_gradients"], "steps": 8, "baseline": "black"}


def with_numpy(module: Any, **functions: Any) -> Any:
    """Let one module see a numpy of which some functions are others."""
    return replaced(module, "np", lambda original: types.SimpleNamespace(**{**vars(original), **functions}))


def of_the_image_before(original: Any) -> Any:
    """What was computed for the image before is used again, if there was one of the same network."""
    kept: dict[Any, Any] = {}

    def weights(*args: Any, **options: Any) -> Any:
        found = original(*args, **options)
        before, kept[found.shape] = kept.get(found.shape, found), found
        return before

    return weights


def with_corners_aligned(_original: Any) -> Any:
    def resize(image: Any, size: Any, **_options: Any) -> Any:
        found = torch.nn.functional.interpolate(
            torch.from_numpy(np.ascontiguousarray(image))[None, None], size[::-1], mode="bilinear", align_corners=True
        )
        return found[0, 0].numpy()

    return resize


def in_bfloat16(values: Any) -> Any:
    return torch.from_numpy(values).bfloat16().float().numpy()


def not_centred(activations: Any) -> Any:
    found = []
    for each in activations:
        rows = each.reshape(each.shape[0], -1).transpose()
        vectors = np.linalg.svd(rows, full_matrices=True)[2]
        found.append((rows @ vectors[0]).reshape(each.shape[1:]))
    return np.float32(found)


def along_rows(_original: Any) -> Any:
    return lambda self, images, layer, targets, activations, grads: grads.mean(axis=3)[:, :, 0]


def of_the_first_place(_original: Any) -> Any:
    return lambda self, images, layer, targets, activations, grads: grads[:, :, 0, 0] * grads[0, 0].size


def added_up_over_channels(_original: Any) -> Any:
    """The sum that XGradCAM divides by runs over all channels."""

    def weights(self: Any, images: Any, layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        return (grads * activations / (activations.sum() + 1e-7)).sum(axis=(2, 3))

    return weights


def not_divided(_original: Any) -> Any:
    """The drop of the score is not divided by the score."""

    def assemble(self: Any, scores: Any, original: Any, channels: Any, count: Any) -> Any:
        return np.float32([original * (1 - (original - each)) for each in scores])

    return assemble


def given(**changes: Any) -> Any:
    """A function of the library gets other arguments."""
    return lambda original: functools.wraps(original)(lambda *args, **o: original(*args, **{**o, **changes}))


def scaled_argument(name: str, factor: float) -> Any:
    def make(original: Any) -> Any:
        return functools.wraps(original)(lambda *args, **o: original(*args, **{**o, name: o[name] * factor}))

    return make


def unnormalised_black(original: Any) -> Any:
    def batch(classifier: Any, pixels: Any) -> Any:
        found = original(classifier, pixels)
        return found * 0 if not pixels.any() else found

    return batch


def added_up_absolutely(_original: Any) -> Any:
    def summed(attribution: Any, shape: Any) -> Any:
        return np.abs(attribution).sum(axis=0)

    return summed


def largest_channel(_original: Any) -> Any:
    return lambda attribution, shape: attribution.max(axis=0)


def half_windows(original: Any) -> Any:
    """Occlusion moves by the whole side of its window."""

    def attribute(self: Any, batch: Any, sliding_window_shapes: Any, strides: Any, **options: Any) -> Any:
        return original(
            self, batch, sliding_window_shapes=sliding_window_shapes, strides=sliding_window_shapes, **options
        )

    return attribute


def raw(method: str) -> Stage:
    return Stage(StageKind.RAW_MAP, method)


def attribution(method: str) -> Stage:
    return Stage(StageKind.ATTRIBUTION, method)


def cam(name: str, stage: Any, inject: Any, **options: Any) -> Fault:
    return Fault(name, "library", ("cams",), stage, inject, **options)


def of_captum(name: str, stage: Any, inject: Any, **options: Any) -> Fault:
    return Fault(name, "attribution", ("attributions",), stage, inject, **options)


GRADCAM = pytorch_grad_cam.GradCAM
FAULTS = (
    cam(
        "LayerCAM keeps negative gradients",
        raw("layercam"),
        with_numpy(pytorch_grad_cam.layer_cam, maximum=lambda values, least: values),
        parameters=GRADIENT_METHODS,
    ),
    cam(
        "Grad-CAM++ keeps negative gradients",
        raw("gradcam++"),
        with_numpy(pytorch_grad_cam.grad_cam_plusplus, maximum=lambda values, least: values),
        parameters=GRADIENT_METHODS,
    ),
    cam(
        "XGradCAM divides by the sum of all channels",
        raw("xgradcam"),
        replaced(pytorch_grad_cam.XGradCAM, "get_cam_weights", added_up_over_channels),
        parameters=GRADIENT_METHODS,
    ),
    cam(
        "HiResCAM averages its gradients",
        raw("hirescam"),
        replaced(
            pytorch_grad_cam.HiResCAM,
            "get_cam_image",
            lambda o: lambda self, x, at, t, a, g, s: o(self, x, at, t, a, g.mean(axis=(2, 3), keepdims=True), s),
        ),
        parameters=GRADIENT_METHODS,
    ),
    Fault(
        "numpy's generator is not seeded",
        "seeds",
        ("cams",),
        raw("randomcam"),
        everywhere(seeded, lambda original: lambda seed: original(seed + 1)),
        parameters=GRADIENT_METHODS,
    ),
    cam("weights of the image before", raw("gradcam"), replaced(GRADCAM, "get_cam_weights", of_the_image_before)),
    cam(
        "gradients are averaged along rows only",
        raw("gradcam"),
        replaced(GRADCAM, "get_cam_weights", along_rows),
        parameters=AT_LAYER3,
    ),
    cam(
        "the gradient of one place",
        raw("gradcam"),
        replaced(GRADCAM, "get_cam_weights", of_the_first_place),
        parameters=AT_LAYER3,
    ),
    cam(
        "channels of the weights are one off",
        raw("gradcam"),
        replaced(GRADCAM, "get_cam_weights", scaled(lambda weights: np.roll(weights, 1, axis=1))),
    ),
    cam(
        "activations in bfloat16",
        raw("gradcam"),
        replaced(
            GRADCAM,
            "get_cam_image",
            lambda o: (
                lambda self, x, at, t, a, g, s=False: o(
                    self, x, at, t, torch.from_numpy(a).bfloat16().float().numpy(), g, s
                )
            ),
        ),
    ),
    cam(
        "EigenCAM does not subtract the mean",
        raw("eigencam"),
        replaced(pytorch_grad_cam.eigen_cam, "get_2d_projection", lambda _: not_centred),
    ),
    cam(
        "EigenCAM is centred over channels",
        raw("eigencam"),
        replaced(
            pytorch_grad_cam.eigen_cam,
            "get_2d_projection",
            lambda o: lambda a: o(a - a.mean(axis=1, keepdims=True)),
        ),
    ),
    cam(
        "ScoreCAM's masks are enlarged by nearest neighbour",
        raw("scorecam"),
        replaced(torch.nn, "UpsamplingBilinear2d", lambda _: lambda size: torch.nn.UpsamplingNearest2d(size=size)),
    ),
    cam(
        "ScoreCAM's weights are no softmax",
        raw("scorecam"),
        replaced(pytorch_grad_cam.ScoreCAM, "get_cam_weights", scaled(np.log)),
    ),
    cam(
        "AblationCAM does not divide by the score",
        raw("ablationcam"),
        replaced(pytorch_grad_cam.AblationCAM, "assemble_ablation_scores", not_divided),
    ),
    cam(
        "AblationCAM's channels are one off",
        raw("ablationcam"),
        replaced(pytorch_grad_cam.AblationCAM, "get_cam_weights", scaled(lambda weights: np.roll(weights, 1, axis=1))),
    ),
    cam(
        "no ReLU over the map",
        StageKind.FINAL_MAP,
        with_numpy(pytorch_grad_cam.base_cam, maximum=lambda values, least: values),
    ),
    cam("the absolute map", StageKind.FINAL_MAP, with_numpy(pytorch_grad_cam.base_cam, maximum=lambda v, _: np.abs(v))),
    cam(
        "maps are enlarged with their corners aligned",
        StageKind.FINAL_MAP,
        replaced(cv2, "resize", with_corners_aligned),
    ),
    cam(
        "the map at the layer is turned",
        StageKind.LAYER_MAP,
        replaced(cam_maps, "scale_cam_image", scaled(lambda maps: maps[:, ::-1])),
    ),
    cam(
        "maps are mirrored",
        StageKind.FINAL_MAP,
        replaced(pytorch_grad_cam.base_cam.BaseCAM, "__call__", scaled(lambda maps: maps[:, :, ::-1])),
    ),
    of_captum(
        "saliency keeps signs",
        attribution("saliency"),
        replaced(captum.attr.Saliency, "attribute", given(abs=False)),
    ),
    of_captum(
        "the input is not multiplied",
        attribution("input_x_gradient"),
        replaced(
            captum.attr._core.input_x_gradient.InputXGradient,
            "attribute",
            lambda o: lambda self, batch, target: o(self, batch, target=target) / (batch + 1e-3),
        ),
    ),
    of_captum(
        "integrated gradients by a left sum",
        attribution("integrated_gradients"),
        replaced(captum.attr.IntegratedGradients, "attribute", given(method="riemann_left")),
    ),
    of_captum(
        "one step less",
        attribution("integrated_gradients"),
        replaced(
            captum.attr.IntegratedGradients,
            "attribute",
            lambda o: lambda *a, n_steps, **k: o(*a, n_steps=n_steps - 1, **k),
        ),
    ),
    of_captum(
        "integrated gradients are local",
        attribution("integrated_gradients"),
        replaced(
            captum.attr.IntegratedGradients,
            "__init__",
            lambda o: lambda self, forward: o(self, forward, multiply_by_inputs=False),
        ),
    ),
    of_captum(
        "a black image is the zero of the input",
        StageKind.BASELINE,
        replaced(attribution_results, "input_batch", unnormalised_black),
        parameters=FROM_BLACK,
    ),
    of_captum(
        "the baseline of the library is zero",
        attribution("integrated_gradients"),
        replaced(captum.attr.IntegratedGradients, "attribute", given(baselines=0)),
        parameters=FROM_BLACK,
    ),
    of_captum(
        "the neighbour is attributed",
        StageKind.ATTRIBUTION,
        replaced(captum.attr.Saliency, "attribute", lambda o: lambda self, x, target: o(self, x, target=target - 1)),
    ),
    of_captum(
        "less noise in smoothgrad",
        attribution("smoothgrad"),
        replaced(captum.attr.NoiseTunnel, "attribute", scaled_argument("stdevs", 0.9)),
        parameters=SAMPLED,
    ),
    of_captum(
        "squares in smoothgrad",
        attribution("smoothgrad"),
        replaced(captum.attr.NoiseTunnel, "attribute", given(nt_type="smoothgrad_sq")),
        parameters=SAMPLED,
    ),
    of_captum(
        "occlusion moves by a whole window",
        attribution("occlusion"),
        replaced(captum.attr.Occlusion, "attribute", half_windows),
        parameters=SAMPLED,
    ),
    of_captum(
        "a sample less in gradient SHAP",
        attribution("gradient_shap"),
        replaced(
            captum.attr.GradientShap,
            "attribute",
            lambda o: lambda *a, n_samples, **k: o(*a, n_samples=n_samples - 1, **k),
        ),
        parameters=SAMPLED,
    ),
    Fault(
        "torch's generator is not seeded",
        "seeds",
        ("attributions",),
        StageKind.ATTRIBUTION,
        replaced(attribution_methods, "all_seeded", lambda _: lambda seed: all_seeded(seed + 1)),
        parameters=SAMPLED,
    ),
    of_captum("channels are added up without signs", StageKind.SIGNED_MAP, everywhere(signed_map, added_up_absolutely)),
    of_captum("the largest channel", StageKind.SIGNED_MAP, everywhere(signed_map, largest_channel)),
    of_captum(
        "the score of the neighbour",
        StageKind.COMPLETENESS,
        everywhere(score, lambda _: lambda question, batch: float(question.module(batch)[0, question.target - 1])),
    ),
)
