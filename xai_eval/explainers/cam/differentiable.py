"""Make the output of one layer differentiable, even where no parameter of the model requires a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.begun import begun


@contextmanager
def differentiable_output(module: nn.Module, layer: nn.Module) -> Iterator[None]:
    """Let automatic differentiation begin at the output of a layer, if nothing before it requires a gradient.

    So a frozen model can be explained, no parameter stores a gradient, and no time is spent on gradients of what comes
    before the layer. Enter this context before other hooks on the layer are registered, so that they get the
    differentiable output.

    Args:
        module: the model.
        layer: one of its submodules.

    Raises:
        ModelMisbehaves: raised during the forward pass if the logits do not depend on the layer.
    """
    handles = [layer.register_forward_hook(_begin_here), *_connection_check(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class NoGradient(ModelMisbehaves):
    """No gradient reaches the explained layer.

    Args:
        remedy: what to do, as a sentence.
    """

    def __init__(
        self, remedy: str = "Choose another layer, or a method without gradients (eigencam, scorecam)."
    ) -> None:
        super().__init__(
            "no gradient reaches the explained layer: the class's logit does not depend on it, or the model detaches "
            f"it, switches gradients off, or returns an answer that it kept from an earlier pass. {remedy}"
        )


def _begin_here(layer: nn.Module, inputs: Any, output: Any) -> Tensor | None:
    if not torch.is_grad_enabled() or not isinstance(output, Tensor):
        return None
    traced = begun(output)
    # Operations that know no gradient, such as quantised ones, hand on None, with which the library cannot go on.
    if traced.requires_grad:
        traced.register_hook(_check_gradient)  # type: ignore[no-untyped-call]  # as torch declares it
    return traced


def _check_gradient(gradient: Tensor | None) -> None:
    if gradient is None:
        raise NoGradient()


def _connection_check(module: nn.Module) -> Iterator[RemovableHandle]:
    # The model itself may switch gradients off while it runs, so that they are asked for before.
    asked: list[bool] = []

    def begin(module: nn.Module, inputs: Any) -> None:
        asked.append(torch.is_grad_enabled())

    def check(module: nn.Module, inputs: Any, logits: Any) -> None:
        if asked.pop() and isinstance(logits, Tensor) and not logits.requires_grad:
            raise NoGradient()

    yield module.register_forward_pre_hook(begin)
    yield module.register_forward_hook(check)
