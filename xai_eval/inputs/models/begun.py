"""Let automatic differentiation begin at the output of a module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def begun(output: Tensor) -> Tensor:
    """Return an output through which gradients can be traced, as it is if they can already.

    Nothing before it may require a gradient: the parameters are frozen, or the model switches gradients off there.
    """
    if output.requires_grad or not torch.is_grad_enabled() or not output.is_floating_point():
        return output
    # A tensor of inference mode cannot require a gradient, its clone can. PyTorch refuses in-place operations on a leaf
    # that requires one; a clone of the leaf is none, so an in-place ReLU may follow.
    return output.detach().clone().requires_grad_().clone()


def begun_within(output: Any) -> Any:
    """Return what a module returned with its leading tensor as `begun` makes it."""
    if isinstance(output, Tensor):
        return begun(output)
    if type(output) in (tuple, list) and output and isinstance(output[0], Tensor):
        return type(output)((begun(output[0]), *output[1:]))
    return output
