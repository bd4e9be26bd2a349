"""Faults behind new weights that are on record, and faults in what had no stage of its own, or a loose limit.

After weights changed on record, all that follows from them is expected to move. A step that a library or this package
computes otherwise at the same time then shows in its trial alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import skimage.segmentation
import torch
import torch.nn.functional as F
from fault import Fault, both, everywhere, module_changed, replaced, weights_changed
from later_faults import DETECTOR
from torch import nn

from xai_eval.explainers import hybrid_maps
from xai_eval.explainers.attribution.methods import signed_map
from xai_eval.explainers.dissection import netdissect
from xai_eval.explainers.dissection.netdissect import other_images
from xai_eval.explainers.dissection.observe import pool_positions
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.inputs.models.reading import Reading
from xai_eval.result.stage import Stage, StageKind

Change = Any
HYBRID, UNITS, ATTRIBUTIONS = ("hybrid",), ("dissection",), ("attributions",)
SCALES, TYPES = "several_scales", StageKind.MODULE_TYPES
ONE_MAP = {"methods": ["gradcam"]}
FELZENSZWALB = {"segmentation": "felzenszwalb", "segmentation_parameters": None}
LEAST_OF_SCALES = 25


def trained_further(module: nn.Module) -> None:
    """All weights change by two thousandths."""
    for number, parameter in enumerate(module.parameters()):
        drawn = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
        parameter.mul_(1 + 2e-3 * drawn)


def other_eps(original: Change) -> Change:
    """Batch normalisation adds more to the variance, whatever its module says."""
    return lambda x, mean, variance, *rest: original(x, mean, variance + 1e-3, *rest)


def with_corners(_original: Change) -> Change:
    def weights(old: int, new: int) -> Any:
        return F.interpolate(torch.eye(old)[None], size=new, mode="linear", align_corners=True)[0].numpy()

    return weights


def largest_place(original: Change) -> Change:
    return lambda output: output.amax(dim=(2, 3)) if output.dim() == 4 else original(output)


def next_seed(original: Change) -> Change:
    return lambda count, seed: original(count, seed + 1)


def negative(original: Change) -> Change:
    return lambda attribution, shape: -original(attribution, shape)


def warmer(original: Change) -> Change:
    return lambda self, scores: original(self, scores / 1.5)


def without_the_last(original: Change) -> Change:
    """The softmax leaves out the last class, of which little is expected here: by less than rounding may move it."""
    return lambda self, scores: np.append(original(self, scores[:-1]), 0.0)


def fewer_iterations(original: Change) -> Change:
    return lambda pixels, **options: original(pixels, **{**options, "max_num_iter": 2})


def to_two_digits(original: Change) -> Change:
    """Only where there are many superpixels, as those of several scales."""

    def probabilities(self: Any, image: Any, hidden: Any, segments: Any, samples: Any) -> Any:
        found = original(self, image, hidden, segments, samples)
        return found if segments.max() < LEAST_OF_SCALES else np.round(found, 2)

    return probabilities


def other_means(module: nn.Module) -> None:
    module.transform.image_mean = [0.5, 0.5, 0.5]


def boxes_overlap_less(module: nn.Module) -> None:
    module.roi_heads.nms_thresh = 0.1


def behind(name: str, kind: str, tasks: tuple[str, ...], trial: str, inject: Any, **options: Any) -> Fault:
    """A fault that comes with new weights, which are on record."""
    weights = weights_changed(trained_further)
    return Fault(
        f"behind new weights, {name}", kind, tasks, Stage(StageKind.TRIAL, trial), both(weights, inject), **options
    )


FAULTS = (
    behind(
        "the prior is stronger",
        "maps",
        HYBRID,
        "the map of cam_prior",
        replaced(hybrid_maps, "PRIOR_ALPHA", lambda _: 300.0),
    ),
    behind(
        "LIME has another share", "maps", HYBRID, "the map of sum_of_both", replaced(hybrid_maps, "LIME_SHARE", np.sqrt)
    ),
    behind(
        "maps of units are enlarged by their corners",
        "dissection",
        UNITS,
        "the overlap of units with pixel labels",
        replaced(netdissect, "_interpolation", with_corners),
    ),
    behind(
        "labels are shuffled by the next seed",
        "seeds",
        UNITS,
        "the overlap of units with pixel labels",
        everywhere(other_images, next_seed),
    ),
    behind(
        "units are pooled by their largest place",
        "dissection",
        UNITS,
        "the pooling of units over places",
        everywhere(pool_positions, largest_place),
    ),
    behind(
        "attributions change their sign",
        "attribution",
        ATTRIBUTIONS,
        "the sum over the channels, and the size",
        everywhere(signed_map, negative),
    ),
    behind(
        "the softmax is warmer",
        "target",
        ("cams", "lime"),
        "the probabilities of logits",
        both(replaced(Reading, "shown", warmer), replaced(Reading, "shown_of", warmer)),
    ),
    behind(
        "batch norm has another eps", "layer", ("cams",), "the layers of torch", replaced(F, "batch_norm", other_eps)
    ),
    Fault(
        "the softmax leaves out the last class",
        "target",
        ("cams", "lime"),
        StageKind.PROBABILITIES,
        replaced(Reading, "shown_of", without_the_last),
    ),
    Fault(
        "scales have other numbers of superpixels",
        "maps",
        HYBRID,
        Stage(StageKind.SEGMENTS, SCALES),
        replaced(hybrid_maps, "SCALES", lambda _: (50, 100, 150)),
    ),
    Fault(
        "slic cuts scales alone, and iterates less",
        "lime",
        HYBRID,
        Stage(StageKind.SEGMENTS, SCALES),
        replaced(skimage.segmentation, "slic", fewer_iterations),
        parameters=FELZENSZWALB,
    ),
    Fault(
        "predictions of scales have two digits",
        "lime",
        HYBRID,
        Stage(StageKind.PERTURBED_PREDICTIONS, SCALES),
        replaced(PerturbedImages, "probabilities", to_two_digits),
    ),
    Fault(
        "a detector subtracts other means",
        "model state",
        ("cams",),
        TYPES,
        module_changed(other_means),
        models=(DETECTOR,),
        parameters=ONE_MAP,
    ),
    Fault(
        "boxes may overlap less",
        "model state",
        ("cams",),
        TYPES,
        module_changed(boxes_overlap_less),
        models=(DETECTOR,),
        parameters=ONE_MAP,
    ),
)
