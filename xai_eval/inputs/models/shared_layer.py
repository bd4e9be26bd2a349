"""Find the layer of a detector on which all of its boxes depend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.layers import evaluating, noise_image
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent
from xai_eval.inputs.models.traced_pass import Call, TracedPass, traced_pass

_MAP_AXES = 4


class _Levels(nn.Module):
    """The mean of each scale of a backbone, (N, scales)."""

    def __init__(self, backbone: nn.Module, name: str) -> None:
        super().__init__()
        self.backbone = backbone
        self._name = name

    def forward(self, batch: Tensor) -> Tensor:
        found: Any = self.backbone(batch)
        if isinstance(found, Mapping):
            found = found.values()
        scales = list(found) if isinstance(found, Iterable) and not isinstance(found, Tensor) else [found]
        if not scales or not all(isinstance(scale, Tensor) and scale.dim() == _MAP_AXES for scale in scales):
            raise UsageError(
                f"the backbone of {self._name} returns something else than maps (N, C, h, w), so it is not known which "
                "layer all boxes depend on. Name one with --layer."
            )
        return torch.stack([scale.square().mean(dim=(1, 2, 3)) for scale in scales], dim=1)


def shared_layer(module: nn.Module, input_shape: tuple[int, ...], name: str) -> str:
    """Return the name of the last layer with a map (N, C, h, w) that every scale of a detector's backbone depends on.

    A detector looks for boxes of different sizes on maps of different scales. A layer behind the place where these part
    counts for some boxes only. In a network with a feature pyramid it is the last block of the backbone.

    Args:
        module: the detector; its part `backbone` returns the maps of all scales.
        input_shape: shape (channels, H, W) of one prepared image.
        name: name of the model, for errors.

    Raises:
        UsageError: it has no part `backbone`, or no such layer.
        ModelMisbehaves: the backbone raises on an image of noise.
    """
    backbone = attribute(module, "backbone")
    if not isinstance(backbone, nn.Module):
        raise UsageError(
            f"{name} returns boxes and has no part called backbone, so it is not known which layer all boxes depend "
            "on. Name one with --layer."
        )
    levels, batch = _Levels(backbone, name), noise_image(module, input_shape)
    traced = torch.inference_mode(False), torch.enable_grad(), evaluating(levels), lent(levels)
    with traced[0], traced[1], traced[2], traced[3], _asked(name, batch):
        found = _last_shared(traced_pass(levels, backbone, batch), backbone)
    if found is None:
        raise UsageError(f"{name} has no layer with a map that all of its boxes depend on. Name one with --layer.")
    # The attribute may be another name for a part, such as a property.
    place = next((place for place, part in module.named_modules() if part is backbone), "backbone")
    return f"{place}.{found}"


def _asked(name: str, batch: Tensor) -> AbstractContextManager[None]:
    remedy = "If its part called backbone does not take the image itself, name a layer with --layer."
    return as_model_error(f"the backbone of {name}", batch.shape, reason=lambda: remedy)


def _last_shared(found: TracedPass, backbone: nn.Module) -> str | None:
    modules = dict(backbone.named_modules())
    calls = [
        call
        for call in found.calls
        if call.output.dim() == _MAP_AXES
        and call.output.requires_grad
        and next(modules[call.name].parameters(), None) is not None
    ]
    shared = _reached_by_all(found.score[0], calls)
    for call, reached in zip(reversed(calls), reversed(shared), strict=True):
        if reached and found.counts[call.name] == 1:
            # Of modules that return the same tensor, the innermost returned first.
            return next(each.name for each in calls if each.output is call.output and found.counts[each.name] == 1)
    return None


def _reached_by_all(scales: Tensor, calls: Sequence[Call]) -> list[bool]:
    outputs, reached = [call.output for call in calls], [True] * len(calls)
    for scale in scales:
        gradients = torch.autograd.grad(scale, outputs, allow_unused=True, retain_graph=True)
        reached = [
            before and each is not None and bool(each.any()) for before, each in zip(reached, gradients, strict=True)
        ]
    return reached
