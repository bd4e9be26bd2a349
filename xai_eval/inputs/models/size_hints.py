"""Read from a module which image size it was built for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from torch import nn

from xai_eval.inputs.models.attributes import attribute

Size = tuple[int, int]

# Names under which libraries keep the size, and where: in the module itself or in its configuration.
_NAMES = ("img_size", "image_size")
_HOLDERS = ("config", "cfg", "_global_params")
# Class, distillation and register tokens that may stand before the tokens of patches.
_MOST_EXTRA_TOKENS = 8


def sizes_named(module: nn.Module) -> tuple[Size, ...]:
    """Return the image sizes (height, width) that a module, its parts or their configurations name, outermost first."""
    return tuple(dict.fromkeys(_named(module)))


def sizes_from_positions(module: nn.Module) -> tuple[Size, ...]:
    """Return square image sizes that fit a position embedding together with the convolution that cuts patches."""
    return tuple(dict.fromkeys(_embedded(module)))


def _named(module: nn.Module) -> Iterator[Size]:
    for part in module.modules():
        for holder in (part, *(attribute(part, name) for name in _HOLDERS)):
            for name in _NAMES:
                size = _as_size(attribute(holder, name))
                if size is not None:
                    yield size


def _as_size(value: object) -> Size | None:
    sides = (value, value) if isinstance(value, int) else value
    if not isinstance(sides, Iterable):
        return None
    height, width = (*sides, None, None)[:2]
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 1:
        return height, width
    return None


def _embedded(module: nn.Module) -> Iterator[Size]:
    lengths = [value.shape[-2] for name, value in module.named_parameters() if "pos" in name and value.dim() in (2, 3)]
    for patch in (part for part in module.modules() if isinstance(part, nn.Conv2d)):
        if patch.kernel_size != patch.stride or patch.stride[0] == 1:
            continue
        for tokens in (length - extra for length in lengths for extra in range(_MOST_EXTRA_TOKENS)):
            side = math.isqrt(max(tokens, 0))
            if side > 1 and side * side == tokens:
                yield side * int(patch.stride[0]), side * int(patch.stride[1])
