"""Faults that were written down after all other lists: after changelogs of libraries, and of outputs with a place.

Of 185 pairs of that kind, these taught something: what was blamed on the step after it, or steps that no list had.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lime.lime_base
import numpy as np
import pytorch_grad_cam
import torch
from fault import SWIN, VIT, Fault, everywhere, module_changed, replaced
from torch import nn
from torchvision.models.resnet import BasicBlock

from xai_eval.explainers.dissection.netdissect import other_images
from xai_eval.explainers.lime import lime as our_lime
from xai_eval.inputs.models import boxes, references, region
from xai_eval.inputs.models.narrow_resnet import NarrowResNet18
from xai_eval.result.stage import Stage, StageKind

Change = Any
CAMS, LIME, ATTRIBUTIONS = ("cams",), ("lime",), ("attributions",)
TYPES, REGION = StageKind.MODULE_TYPES, StageKind.REGION
NETS = Path(__file__).parent / "nets.py"
SEGMENTER, DETECTOR, ENCODER = (f"file:{NETS}:{name}" for name in ("segmenter", "detector", "encoder"))
AT_LAYER3 = {"layer": "layer3", "methods": ["gradcam"]}

# --- where the explained class is -------------------------------------------------------------------------------------


def second_choice(_original: Change) -> Change:
    """The region has the places at which the class comes second."""

    def of(classifier: Any, batch: torch.Tensor, target: int) -> torch.Tensor:
        with torch.no_grad():
            return classifier.maps(batch)[0].argsort(dim=0, descending=True)[1] == target

    return of


def whole_image(original: Change) -> Change:
    return lambda classifier, batch, target: torch.ones_like(original(classifier, batch, target))


def to_the_side(original: Change) -> Change:
    return lambda classifier, batch, target: original(classifier, batch, target).roll(1, 1)


def last_box(_original: Change) -> Change:
    """Of the boxes of a class, the last is taken, which has the lowest score."""

    def of(classifier: Any, batch: torch.Tensor, target: int, score: float) -> boxes.Box:
        with torch.no_grad():
            (found,) = classifier.detector(batch)
        return boxes.Box(found["boxes"][found["labels"] == target][-1].detach().float(), score)

    return of


def mean_of_the_region(original: Change) -> Change:
    return lambda self, batch: original(self, batch) / self.region.sum()


def mirrored(original: Change) -> Change:
    """Images that an image is compared with are mirrored."""

    def features(module: Any, reading: Any, preprocess: Any, *rest: Any) -> torch.Tensor:
        return original(module, reading, lambda image: preprocess(image).flip(-1), *rest)

    return features


# --- models -----------------------------------------------------------------------------------------------------------


def not_shifted(module: nn.Module) -> None:
    """Windows stay where they are; torchvision keeps their shift in a list."""
    for part in module.modules():
        if hasattr(part, "shift_size"):
            part.shift_size = [0, 0]


def nothing_attended_to(module: nn.Module) -> None:
    """Tokens may attend to a token of zeros as well."""
    for part in module.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.add_zero_attn = True


def logarithms(original: Change) -> Change:
    return lambda self, x: original(self, x).log_softmax(dim=-1)


def without_gradient(_original: Change) -> Change:
    """Shortcuts hand on no gradient, which no answer shows."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + shortcut.detach())

    return forward


# --- libraries --------------------------------------------------------------------------------------------------------


def negative_left_out(_original: Change) -> Change:
    return lambda self, images, layer, targets, activations, grads: np.maximum(grads, 0).mean(axis=(2, 3))


def summing_to_one(original: Change) -> Change:
    """The weights of samples are divided by their sum, so that the penalty counts more."""

    def fit(self: Any, *args: Any, **options: Any) -> Any:
        kernel = self.kernel_fn
        self.kernel_fn = lambda distances: kernel(distances) / kernel(distances).sum()
        try:
            return original(self, *args, **options)
        finally:
            self.kernel_fn = kernel

    return fit


class _ByColumn:
    """Draws the same numbers, and fills a table column by column."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def randint(self, low: int, high: int, count: int) -> Any:
        class Flat(np.ndarray):
            def reshape(self, rows: int, columns: int) -> Any:  # type: ignore[override]
                return np.ascontiguousarray(np.asarray(self).reshape(columns, rows).T)

        return self.state.randint(low, high, count).view(Flat)


def column_by_column(original: Change) -> Change:
    def labels(self: Any, *args: Any, **options: Any) -> Any:
        state = self.random_state
        self.random_state = _ByColumn(state)
        try:
            return original(self, *args, **options)
        finally:
            self.random_state = state

    return labels


def in_any_order(_original: Change) -> Change:
    """An image may keep its own labels when labels are shuffled."""
    return lambda count, seed: np.random.default_rng(seed).permutation(count)


def later(name: str, kind: str, tasks: tuple[str, ...], stage: Any, inject: Any, **options: Any) -> Fault:
    return Fault(name, kind, tasks, stage, inject, **options)


def of_region(name: str, tasks: tuple[str, ...], make: Change) -> Fault:
    return later(name, "target", tasks, REGION, replaced(region, "region_of", make), models=(SEGMENTER,))


FAULTS = (
    of_region("the second choice is the region", (*CAMS, *LIME, *ATTRIBUTIONS), second_choice),
    of_region("the region is the whole image", CAMS, whole_image),
    of_region("the region is a place to the side", CAMS, to_the_side),
    later(
        "the last box is explained",
        "target",
        CAMS,
        REGION,
        replaced(boxes, "box_of", last_box),
        models=(DETECTOR,),
        parameters={"methods": ["gradcam"]},
    ),
    later(
        "the mean of the region",
        "target",
        CAMS,
        StageKind.RAW_MAP,
        replaced(region.RegionScores, "forward", mean_of_the_region),
        models=(SEGMENTER,),
    ),
    later(
        "references are mirrored",
        "target",
        (*CAMS, *ATTRIBUTIONS),
        StageKind.REFERENCES,
        replaced(references, "_features", mirrored),
        models=(ENCODER,),
    ),
    later("windows are not shifted", "tokens", CAMS, TYPES, module_changed(not_shifted), models=(SWIN,)),
    later("nothing is attended to as well", "tokens", CAMS, TYPES, module_changed(nothing_attended_to), models=(VIT,)),
    later(
        "logarithms of probabilities are logits",
        "layer",
        (*CAMS, *LIME, *ATTRIBUTIONS),
        StageKind.LOGITS,
        replaced(NarrowResNet18, "forward", logarithms),
    ),
    later(
        "shortcuts hand on no gradient",
        "layer",
        CAMS,
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(BasicBlock, "forward", without_gradient),
        parameters=AT_LAYER3,
    ),
    later(
        "shortcuts hand on no gradient to the input",
        "layer",
        ATTRIBUTIONS,
        StageKind.ATTRIBUTION,
        replaced(BasicBlock, "forward", without_gradient),
    ),
    later(
        "negative gradients are left out",
        "library",
        CAMS,
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", negative_left_out),
        parameters=AT_LAYER3,
    ),
    later(
        "weights of samples sum to one",
        "lime",
        (*LIME, "lime_search"),
        StageKind.WEIGHTS,
        replaced(lime.lime_base.LimeBase, "explain_instance_with_data", summing_to_one),
    ),
    later(
        "samples are filled column by column",
        "lime",
        (*LIME, "comparison"),
        StageKind.SAMPLES,
        replaced(our_lime._Explainer, "data_labels", column_by_column),
    ),
    later(
        "labels may stay where they are",
        "seeds",
        ("dissection",),
        StageKind.OVERLAP_BY_CHANCE,
        everywhere(other_images, in_any_order),
    ),
)
