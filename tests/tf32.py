"""Rounds convolutions and linear layers as a GPU with TF32 does: their inputs to ten bits of the mantissa."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from xai_eval.tasks.ties import bounds

# Single precision keeps 23 bits of the mantissa, TF32 ten.
_DROPPED = 13


def rounded(values: Tensor) -> Tensor:
    """Round single precision to ten bits of the mantissa; half-way cases away from zero, as the hardware does."""
    bits = values.detach().contiguous().view(torch.int32) + (1 << (_DROPPED - 1))
    return bits.bitwise_and_(~((1 << _DROPPED) - 1)).view(torch.float32)


class _Rounded(torch.autograd.Function):
    """Rounds on the way forward, and the gradient on the way back, because convolutions round there, too."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        return rounded(values)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return rounded(gradient)


def _in_tf32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(batch: Tensor, weight: Tensor, *rest: Any, **options: Any) -> Tensor:
        if batch.dtype != torch.float32 or not torch.backends.cudnn.allow_tf32:
            return function(batch, weight, *rest, **options)
        if not torch.is_grad_enabled():
            return function(rounded(batch), rounded(weight), *rest, **options)
        found = function(_Rounded.apply(batch), _Rounded.apply(weight), *rest, **options)
        # The gradient of a convolution is one of its inputs when it goes back.
        return _Back.apply(found)

    return call


class _Back(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return rounded(gradient)


@contextmanager
def tf32() -> Iterator[None]:
    """Compute convolutions and linear layers in TF32 inside the context, and look for ties as on a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("conv2d", "linear"):
            patch.setattr(F, name, _in_tf32(getattr(F, name)))
        patch.setattr(bounds, "ON_CPU", bounds.ELSEWHERE)
        patch.setattr(torch.backends.cudnn, "allow_tf32", True)
        yield
