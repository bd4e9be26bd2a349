"""A gradient for one layer's output, whatever the model's parameters say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves


@contextmanager
def differentiable_output(module: nn.Module, layer: nn.Module) -> Iterator[None]:
    """Let automatic differentiation begin at the layer's output, where nothing before it requires a gradient.

    So a frozen model can be explained, no parameter collects a gradient, and what precedes the layer is not
    differentiated for nothing. Register before anything else that looks at the output.

    Raises:
        ModelMisbehaves: in the forward pass, if the logits do not depend on the layer.
    """
    handles = [layer.register_forward_hook(_begin_here), module.register_forward_hook(_check_connected)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def no_gradient() -> ModelMisbehaves:
    """Build the error for a layer that no gradient reaches."""
    return ModelMisbehaves(
        "no gradient reaches the explained layer: the class's logit does not depend on it, or the model detaches "
        "it. Choose another layer, or a method without gradients (eigencam, scorecam)."
    )


def _begin_here(layer: nn.Module, inputs: Any, output: Any) -> Tensor | None:
    if not torch.is_grad_enabled() or not isinstance(output, Tensor) or output.requires_grad:
        return None
    # The clone is no leaf, so that an in-place ReLU may follow.
    return output.detach().requires_grad_().clone()


def _check_connected(module: nn.Module, inputs: Any, logits: Any) -> None:
    if torch.is_grad_enabled() and isinstance(logits, Tensor) and not logits.requires_grad:
        raise no_gradient()
