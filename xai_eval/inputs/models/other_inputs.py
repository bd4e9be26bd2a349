"""Find out what a model takes that does not run on a batch of images: several inputs, a list, a mapping, other axes.

Its signature is read, and then other inputs are tried. What it runs on is the true reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.wrappers import unwrapped

_FIXED = (
    "A run has one image. Wrap the model in a module that takes (N, 3, H, W) and holds what else it needs, such as the "
    "other image of a siamese network"
)
_NAMES = ("pixel_values", "images", "image", "inputs", "input", "x")
_INPUTS_BESIDE = ("input_ids", "input_points", "input_boxes", "spatial_shapes", "_mask", "text", "captions", "prompts")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class _Mapping(dict[str, Tensor]):
    """Holds the images under every name, and remembers the names that were asked for."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._images, self.asked = images, dict[str, None]()

    def __missing__(self, name: str) -> Tensor:
        self.asked[str(name)] = None
        return self._images


@dataclass(frozen=True)
class _Input:
    """Something that a model may take in place of images (N, 3, H, W).

    Attributes:
        told: what it is, in words.
        make: makes it of a batch (1, 3, H, W).
        remedy: what a wrapper has to do, as an expression of `images`.
    """

    told: str
    make: Callable[[Tensor], Any]
    remedy: str = ""


_INPUTS = (
    _Input(
        "values between 0 and 1 alone, and is tried on noise first, which has others",
        Tensor.sigmoid,
        "images.clamp(0, 1)",
    ),
    _Input("a list of images (3, H, W)", list, "list(images)"),
    _Input("a list or tuple of two batches, as a siamese network does", lambda images: [images, images]),
    _Input("several images at once, (N, images, 3, H, W), such as pairs", lambda images: torch.stack([images] * 2, 1)),
    _Input("pairs of images in the axis of the batch, (2, 3, H, W)", lambda images: torch.cat([images] * 2)),
    _Input("pairs of images in one, (N, 6, H, W)", lambda images: torch.cat([images] * 2, 1)),
    _Input("the frames of a video, (N, 3, frames, H, W)", lambda images: torch.stack([images] * 4, 2)),
    _Input("the frames of a video, (N, frames, 3, H, W)", lambda images: torch.stack([images] * 4, 1)),
    _Input(
        "images with their channels last, (N, H, W, 3)", lambda images: images.movedim(1, 3), "images.movedim(1, 3)"
    ),
    _Input("a single image without a batch, (3, H, W)", lambda images: images[0], "images[0]"),
    _Input("images in double precision", Tensor.double, "images.double()"),
    _Input("images in half precision", Tensor.half, "images.half()"),
    _Input(
        "whole numbers from 0 to 255 (torch.uint8), of images that are not normalised",
        lambda images: (images.clamp(0, 1) * 255).to(torch.uint8),
        "images.mul(255).to(torch.uint8)",
    ),
    _Input("images as arrays of numpy", lambda images: images.numpy(force=True), "images.numpy(force=True)"),
)


def why_not(module: nn.Module, batch: Tensor) -> str:
    """Say what a model takes in place of a batch, and how to wrap it, in sentences; empty if that is not found out.

    Args:
        module: the model, which failed on the batch.
        batch: an image, (1, 3, H, W).
    """
    told = _by_signature(unwrapped(module)[0])
    order = _by_order(unwrapped(module)[0])
    tried = told or _by_name(module, batch, order) or _by_mapping(module, batch) or _by_trial(module, batch) or order
    return tried or _by_what_else(unwrapped(module)[0])


def _parameters(module: nn.Module) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # a forward that is not written in Python
        return []


def _by_order(module: nn.Module) -> str:
    """Tell of models of transformers that take text first, and do without neither text nor image."""
    names = [each.name for each in _parameters(module) if each.kind in _POSITIONAL]
    if "pixel_values" not in names[1:]:
        return ""
    return f"Its forward takes {names[0]} first, before pixel_values. {_FIXED}, or the text."


def _by_what_else(module: nn.Module) -> str:
    """Tell of inputs beside the images that may be left out by their signature, as text for a model of captions."""
    beside = [each.name for each in _parameters(module)[1:] if each.name.endswith(_INPUTS_BESIDE)]
    return f"Its forward also takes {', '.join(beside)}, which it may need. {_FIXED}, or a text." if beside else ""


def _by_signature(module: nn.Module) -> str:
    parameters = _parameters(module)
    empty = inspect.Parameter.empty
    needed = [each.name for each in parameters if each.kind in _POSITIONAL and each.default is empty]
    by_name = [
        each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY and each.default is empty
    ]
    several = [*needed, *by_name]
    if len(several) > 1:
        return f"Its forward takes {len(several)} inputs ({', '.join(several)}). {_FIXED}."
    return _named(by_name[0]) if by_name else ""


def _by_name(module: nn.Module, batch: Tensor, order: str) -> str:
    """Try usual names, for a forward that takes any; `order` is what is known of the order of its inputs."""
    for name in _NAMES:
        if _runs(module, **{name: batch}):
            return _named(name)
    if _runs(module, batch, batch):
        return order or f"It runs on two inputs. {_FIXED}."
    return ""


def _named(name: str) -> str:
    return (
        f"Its forward takes its input by name alone ({name}=...). Wrap it in a module that hands it on so: "
        f"self.net({name}=images)."
    )


def _by_mapping(module: nn.Module, batch: Tensor) -> str:
    mapping = _Mapping(batch)
    if not (_runs(module, mapping) and mapping.asked):
        return ""
    names = list(mapping.asked)
    entries = ", ".join(f'"{name}": images' for name in names)
    if len(names) > 1:
        return f"It takes a mapping with the entries {', '.join(names)}. {_FIXED}."
    return f"It takes a mapping. Wrap it in a module that makes one: self.net({{{entries}}})."


def _by_trial(module: nn.Module, batch: Tensor) -> str:
    for each in _INPUTS:
        if _runs(module, each.make(batch)):
            how = f"Wrap it in a module that makes them: self.net({each.remedy})" if each.remedy else _FIXED
            return f"It runs on {each.told}. {how}."
    return ""


def _runs(module: nn.Module, *given: Any, **named: Any) -> bool:
    """Whether a model returns a tensor, or what holds tensors, for some inputs."""
    try:
        with torch.no_grad():
            output = module(*given, **named)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False
    return isinstance(output, Tensor | Mapping | tuple | list) or attribute(output, "logits") is not None
