"""Faults that are not those of the other files: all were written down before any of them was tried.

Their author knew the names in the catalogue, so that the rate is not that of a blind trial. Three were corrected after
the first trial: one did nothing (it set a default), one was put where only the map of the layer is, one did not run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import lime.lime_base
import numpy as np
import pytorch_grad_cam
import skimage.segmentation
import torch
import torch.nn.functional as F
from fault import POOLED, VIT, Fault, everywhere, module_changed, preparation, replaced, scaled
from input_faults import decoded
from PIL import ImageFilter, ImageOps
from torch import nn

from xai_eval.explainers.attribution import captum_methods
from xai_eval.explainers.attribution import methods as attribution_methods
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.dissection import by_pixels, observe_shard
from xai_eval.explainers.lime import lime as our_lime
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import cam_results
from xai_eval.tasks.dissection import label_tables

Change = Callable[[Any], Any]
CAMS, LIME, UNITS, ATTRIBUTIONS = ("cams",), ("lime",), ("dissection",), ("attributions",)
DECODED, TENSOR, TYPES = StageKind.DECODED_PIXELS, StageKind.INPUT_TENSOR, StageKind.MODULE_TYPES

# --- images and input -------------------------------------------------------------------------------------------------


def red_to_the_side(pixels: Any) -> Any:
    """The red channel is a pixel to the side, as in a badly registered scan."""
    return np.dstack([np.roll(pixels[..., 0], 1, axis=1), pixels[..., 1:]])


def without_the_lowest_bit(pixels: Any) -> Any:
    """The lowest bit is lost."""
    return pixels & 0xFE


def interlaced(pixels: Any) -> Any:
    """Every second row is that above it."""
    found = pixels.copy()
    found[1::2] = found[: len(found) - 1 : 2][: len(found[1::2])]
    return found


def unsteady(tensor: torch.Tensor) -> torch.Tensor:
    """Dithered by a generator that nobody seeds."""
    return tensor + 2e-3 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(id(tensor) % 2**31))


# --- models -----------------------------------------------------------------------------------------------------------


def averaging_pool(module: nn.Module) -> None:
    module.maxpool = nn.AvgPool2d(3, 2, 1)


def reflecting(module: nn.Module) -> None:
    module.layer2[0].conv1.padding_mode = "reflect"
    module.layer2[0].conv1._reversed_padding_repeated_twice = [1, 1, 1, 1]


def one_class_likelier(module: nn.Module) -> None:
    module.fc.bias[0] += 0.05


def variances_floored(module: nn.Module) -> None:
    variance = module.layer4[0].bn1.running_var
    variance.clamp_(min=float(variance.median()))


def filters_turned(module: nn.Module) -> None:
    """The kernels of one layer are turned around, as a convolution in place of a correlation."""
    weight = module.layer1[0].conv1.weight
    weight.copy_(weight.flip(2, 3))


def positions_of_other_size(module: nn.Module) -> None:
    """The table of positions is scaled down and up again."""
    table = module.encoder.pos_embedding
    smoothed = F.avg_pool1d(table.transpose(1, 2), 3, 1, 1, count_include_pad=False).transpose(1, 2)
    table.copy_(smoothed)


def mean_of_logits_subtracted(original: Change) -> Change:
    """The last layer subtracts a part of the mean of its answers, which no probability shows."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        found = original(self, x)
        return found - 0.5 * found.mean(dim=-1, keepdim=True)

    return forward


def pooled_without_the_border(original: Change) -> Change:
    return lambda self, x: original(self, x[..., 1:-1, 1:-1] if x.shape[-1] > 2 else x)


# --- libraries of maps ------------------------------------------------------------------------------------------------


def of_the_largest_gradient(_original: Change) -> Change:
    return lambda self, images, layer, targets, activations, grads: grads.max(axis=(2, 3))


def second_component(_original: Change) -> Change:
    def project(batch: Any) -> Any:
        found = []
        for each in np.nan_to_num(batch):
            rows = each.reshape(each.shape[0], -1).transpose()
            rows = rows - rows.mean(axis=0)
            found.append((rows @ np.linalg.svd(rows, full_matrices=True)[2][1]).reshape(each.shape[1:]))
        return np.float32(found)

    return project


def by_the_99th_percentile(original: Change) -> Change:
    def scale(cam: Any, target_size: Any = None) -> Any:
        found = original(cam, target_size)
        return np.minimum(found / np.percentile(found, 99), 1.0).astype(np.float32)

    return scale


def turned_over(original: Change) -> Change:
    """Rows and columns of the final map change places."""

    def explain(*args: Any, **options: Any) -> Any:
        found = original(*args, **options)
        image = found.image
        return dataclasses.replace(found, image=np.ascontiguousarray(np.swapaxes(image, -1, -2)))

    return explain


# --- LIME -------------------------------------------------------------------------------------------------------------


def first_half_only(original: Change) -> Change:
    """The surrogate sees the first half of the samples."""

    def fit(self: Any, data: Any, predictions: Any, distances: Any, *args: Any, **options: Any) -> Any:
        half = len(data) // 2
        return original(self, data[:half], predictions[:half], distances[:half], *args, **options)

    return fit


def sign_of_the_second_label(original: Change) -> Change:
    labels: list[Any] = []

    def surrogate(label: int, count: int, answer: Any) -> Any:
        found = original(label, count, answer)
        labels.append(label)
        return dataclasses.replace(found, weights=-found.weights) if label != labels[0] else found

    return surrogate


def smoothed_first(original: Change) -> Change:
    return lambda image, **options: original(image, **{**options, "sigma": 1.4})


def green_to_the_side(original: Change) -> Change:
    """In what the model sees of a sample, the green channel is a pixel to the side."""

    def batch(self: Any, loop: Any, part: slice) -> Any:
        class Shifted:
            @staticmethod
            def views(part: slice) -> torch.Tensor:
                found = loop.views(part)
                return torch.stack([found[..., 0], found[..., 1].roll(1, dims=-1), found[..., 2]], dim=-1)

        return original(self, Shifted, part)

    return batch


def twice_as_near(original: Change) -> Change:
    """Distances are halved before the kernel."""

    def fit(self: Any, data: Any, predictions: Any, distances: Any, *args: Any, **options: Any) -> Any:
        return original(self, data, predictions, distances / 2, *args, **options)

    return fit


# --- dissection -------------------------------------------------------------------------------------------------------


def outputs(change: Change) -> Any:
    return replaced(
        observe_shard,
        "layer_outputs",
        lambda original: lambda model, batch: {name: change(each) for name, each in original(model, batch).items()},
    )


def saturated(maps: torch.Tensor) -> torch.Tensor:
    """Large activations are cut off, as 8 bits would."""
    return maps.clamp(max=float(maps.quantile(0.99)))


def smoothed(maps: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, 1) if maps.ndim == 4 else maps


def one_unit_dead(maps: torch.Tensor) -> torch.Tensor:
    found = maps.clone()
    found[:, 5] = 0
    return found


# --- attributions -----------------------------------------------------------------------------------------------------


def of_log_probability(original: Change) -> Change:
    """The gradient is that of the logarithm of the probability."""

    def explain(question: Any) -> Any:
        class Logs(nn.Module):
            def __init__(self, module: nn.Module) -> None:
                super().__init__()
                self.module = module

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.module(x).log_softmax(dim=1)

        return original(dataclasses.replace(question, module=Logs(question.module)))

    return explain


def negated(original: Change) -> Change:
    return lambda attribution, shape: -original(attribution, shape)


def channels_by_their_deviation(original: Change) -> Change:
    """Channels are added up after each is divided by its deviation."""

    def signed(attribution: Any, shape: Any) -> Any:
        if attribution.ndim == 3:
            attribution = attribution / (attribution.std(axis=(1, 2), keepdims=True) + 1e-9) * attribution.std()
        return original(attribution, shape)

    return signed


# --- what is measured and read ----------------------------------------------------------------------------------------


def row_with(**changes: Change) -> Change:
    def make(original: Change) -> Change:
        def row(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            return {**found, **{name: change(found[name]) for name, change in changes.items() if name in found}}

        return row

    return make


def unseen(name: str, kind: str, tasks: tuple[str, ...], stage: Any, inject: Any, **options: Any) -> Fault:
    return Fault(name, kind, tasks, stage, inject, **options)


MAPS_OF_CAM = {"methods": ["gradcam", "eigencam"]}
FAULTS = (
    unseen("red is a pixel to the side", "decode", (*CAMS, "lime"), DECODED, decoded(red_to_the_side)),
    unseen("the lowest bit is lost", "decode", (*CAMS, "lime"), DECODED, decoded(without_the_lowest_bit)),
    unseen("every second row is lost", "decode", CAMS, DECODED, decoded(interlaced)),
    unseen("colours are stretched first", "normalisation", CAMS, TENSOR, preparation(drawn=ImageOps.autocontrast)),
    unseen(
        "images are sharpened",
        "resize",
        (*CAMS, *ATTRIBUTIONS),
        TENSOR,
        preparation(drawn=lambda image: image.filter(ImageFilter.UnsharpMask(1, 30, 0))),
    ),
    unseen("the input is dithered", "normalisation", (*CAMS, *UNITS), TENSOR, preparation(tensor=unsteady)),
    unseen("pooling takes the mean", "model state", (*CAMS, *UNITS), TYPES, module_changed(averaging_pool)),
    unseen("one convolution reflects", "model state", (*CAMS, *UNITS), TYPES, module_changed(reflecting)),
    unseen(
        "one class is a little likelier",
        "model state",
        (*CAMS, "lime"),
        Stage(StageKind.MODEL_WEIGHTS, "fc"),
        module_changed(one_class_likelier),
    ),
    unseen(
        "variances have a floor",
        "model state",
        (*CAMS, *UNITS),
        Stage(StageKind.MODEL_WEIGHTS, "layer4.0"),
        module_changed(variances_floored),
    ),
    unseen(
        "kernels are turned around",
        "model state",
        (*CAMS, *UNITS),
        Stage(StageKind.MODEL_WEIGHTS, "layer1.0"),
        module_changed(filters_turned),
    ),
    unseen(
        "positions are smoothed",
        "model state",
        CAMS,
        StageKind.MODEL_WEIGHTS,
        module_changed(positions_of_other_size),
        models=(VIT, POOLED),
    ),
    unseen(
        "logits lose half of their mean",
        "layer",
        (*CAMS, "lime", *ATTRIBUTIONS),
        StageKind.LOGITS,
        replaced(nn.Linear, "forward", mean_of_logits_subtracted),
    ),
    unseen(
        "the last pooling leaves out the border",
        "layer",
        (*CAMS, "lime"),
        StageKind.LOGITS,
        replaced(nn.AdaptiveAvgPool2d, "forward", pooled_without_the_border),
    ),
    unseen(
        "the largest gradient counts",
        "library",
        CAMS,
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", of_the_largest_gradient),
        parameters={"layer": "layer3", "methods": ["gradcam"]},
    ),
    unseen(
        "EigenCAM takes the second component",
        "library",
        CAMS,
        Stage(StageKind.RAW_MAP, "eigencam"),
        replaced(pytorch_grad_cam.eigen_cam, "get_2d_projection", second_component),
        parameters=MAPS_OF_CAM,
    ),
    unseen(
        "maps are divided by a percentile",
        "library",
        (*CAMS, "hybrid"),
        StageKind.FINAL_MAP,
        replaced(pytorch_grad_cam.base_cam, "scale_cam_image", by_the_99th_percentile),
    ),
    unseen("final maps are transposed", "library", CAMS, StageKind.FINAL_MAP, everywhere(explain_by_cam, turned_over)),
    unseen(
        "the surrogate sees half of the samples",
        "lime",
        (*LIME, "comparison"),
        StageKind.WEIGHTS,
        replaced(lime.lime_base.LimeBase, "explain_instance_with_data", first_half_only),
    ),
    unseen(
        "weights of the second label are negative",
        "lime",
        LIME,
        StageKind.WEIGHTS,
        replaced(our_lime, "_surrogate", sign_of_the_second_label),
    ),
    unseen(
        "slic smooths first",
        "lime",
        (*LIME, "hybrid"),
        StageKind.SEGMENTS,
        replaced(skimage.segmentation, "slic", smoothed_first),
    ),
    unseen(
        "green is a pixel to the side in samples",
        "lime",
        (*LIME, "comparison"),
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "_batch", green_to_the_side),
    ),
    unseen(
        "samples are twice as near",
        "lime",
        LIME,
        StageKind.WEIGHTS,
        replaced(lime.lime_base.LimeBase, "explain_instance_with_data", twice_as_near),
    ),
    unseen("activations are cut off", "dissection", UNITS, Stage(StageKind.ACTIVATIONS, "layer4"), outputs(saturated)),
    unseen("maps of units are smoothed", "maps", UNITS, StageKind.UNIT_MAPS, outputs(smoothed)),
    unseen("one unit is dead", "dissection", UNITS, Stage(StageKind.ACTIVATIONS, "layer4"), outputs(one_unit_dead)),
    unseen(
        "three units more of every concept",
        "reading",
        UNITS,
        StageKind.MEASURES,
        replaced(label_tables, "concept_counts", scaled(lambda f: f.assign(units=f["units"] + 3 * (f["units"] > 0)))),
    ),
    unseen(
        "the gradient of the log-probability",
        "attribution",
        ATTRIBUTIONS,
        Stage(StageKind.ATTRIBUTION, "saliency"),
        replaced(captum_methods, "saliency", of_log_probability),
    ),
    unseen(
        "attributions change their sign",
        "attribution",
        ATTRIBUTIONS,
        StageKind.SIGNED_MAP,
        everywhere(attribution_methods.signed_map, negated),
    ),
    unseen(
        "channels are weighted by their deviation",
        "attribution",
        ATTRIBUTIONS,
        StageKind.SIGNED_MAP,
        everywhere(attribution_methods.signed_map, channels_by_their_deviation),
    ),
    unseen(
        "energy is a tenth too high",
        "reading",
        CAMS,
        StageKind.MEASURES,
        replaced(cam_results, "map_row", row_with(energy_inside=lambda value: min(1.0, value * 1.1))),
    ),
    unseen(
        "a fiftieth more of the pixels are active",
        "counts",
        UNITS,
        Stage(StageKind.OVERLAP, "layer4"),
        replaced(by_pixels, "SHARE", lambda share: share * 1.02),
    ),
)
