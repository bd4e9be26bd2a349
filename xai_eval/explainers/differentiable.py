"""A gradient for one layer's output, whatever the model's parameters say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def differentiable_output(layer: nn.Module) -> Iterator[None]:
    """Let automatic differentiation begin at the layer's output, where nothing before it requires a gradient.

    So a frozen model can be explained, no parameter collects a gradient, and what precedes the layer is not
    differentiated for nothing. Register before anything else that looks at the output.
    """
    handle = layer.register_forward_hook(_begin_here)
    try:
        yield
    finally:
        handle.remove()


def _begin_here(layer: nn.Module, inputs: Any, output: Any) -> Tensor | None:
    if not torch.is_grad_enabled() or not isinstance(output, Tensor) or output.requires_grad:
        return None
    # The clone is no leaf, so that an in-place ReLU may follow.
    return output.detach().requires_grad_().clone()
