"""Digests of the weights of a model, computed again only where the weights changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.disk.quick_zlib import quick_zlib
from xai_eval.inputs.models.later_checks import read_together

NamedTensors = Sequence[tuple[str, Tensor]]


@dataclass(frozen=True, eq=False)
class _Known:
    """A block of which the digest is known: its tensors, and what their values were."""

    tensors: NamedTensors
    values: Any
    digest: str


class BlockDigests:
    """The digests of a model's blocks, by their names.

    A SHA-256 of all weights for each image would take longer than Grad-CAM. So it is computed once, and again when a
    tensor of the block is another one or has other values. On a CPU, a CRC-32 of the values tells that, which takes a
    tenth of the time; on other devices, a copy that stays there.
    """

    def __init__(self) -> None:
        """Begin without any digest."""
        self._known: dict[str, _Known] = {}

    def of(self, name: str, tensors: NamedTensors, digest: Callable[[NamedTensors], str]) -> str:
        """Return what `digest` returns for the tensors of the block `name`, which it was perhaps asked for before."""
        if not all(_is_plain(each) for _, each in tensors):
            return digest(tensors)
        known = self._known.get(name)
        if known is None or not _same_tensors(known.tensors, tensors) or not _same_values(known.values, tensors):
            known = self._known[name] = _Known(tensors, _values(tensors), digest(tensors))
        return known.digest


def _is_plain(tensor: Tensor) -> bool:
    return type(tensor) in (Tensor, nn.Parameter) and tensor.layout is torch.strided and not tensor.is_quantized


def _same_tensors(before: NamedTensors, now: NamedTensors) -> bool:
    return len(before) == len(now) and all(
        name == named and each is other for (name, each), (named, other) in zip(before, now, strict=True)
    )


def _values(tensors: NamedTensors) -> Any:
    """Return what tells whether tensors still have the same device, type, shape and values."""
    return [_checksum(each) if _is_here(each) else each.detach().clone() for _, each in tensors]


def _is_here(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _checksum(tensor: Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, quick_zlib.crc32(_bits(tensor).numpy().data)


def _same_values(before: Any, now: NamedTensors) -> bool:
    here = [(kept, each) for kept, (_, each) in zip(before, now, strict=True) if _is_here(each)]
    there = [(kept, each) for kept, (_, each) in zip(before, now, strict=True) if not _is_here(each)]
    return all(kept == _checksum(each) for kept, each in here) and _same_bits(there)


def _same_bits(pairs: Sequence[tuple[Any, Tensor]]) -> bool:
    """Whether copies have the devices, types, shapes and bits of their tensors. This waits for each device once."""
    if not all(isinstance(kept, Tensor) and _kind(kept) == _kind(each) for kept, each in pairs):
        return False
    return not any(read_together([(_bits(kept) != _bits(each)).any() for kept, each in pairs]))


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.device, tensor.dtype, tensor.shape


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
