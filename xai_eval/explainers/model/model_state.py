"""Lend a model to a library that changes it, and get it back as it was.

pytorch-grad-cam switches a model to eval, clears its gradients, and leaves hooks and a replaced layer behind
when it fails half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter


@contextmanager
def preserved(module: nn.Module) -> Iterator[None]:
    """Freeze a model while the context is open; on leaving, and on any exception, put back what it was.

    Covers the training flag, the submodules, the hooks and an instance-level `forward` of every module, and
    `requires_grad` and the gradient of every parameter. Inside, no parameter requires a gradient, so a backward
    pass neither fills `.grad` nor wakes an optimiser that waits on it. Parameter values, buffers and the user's
    own gradient tensors are not touched.
    """
    with ExitStack() as stack:
        for part in module.modules():
            stack.callback(_module_restorer(part))
        for parameter in module.parameters():
            stack.callback(_parameter_restorer(parameter))
            parameter.requires_grad_(False)
            parameter.grad = None
        yield


@contextmanager
def lent(module: nn.Module) -> Iterator[None]:
    """Lend a model to code that may do with it as it likes, as training mode does with the buffers of BatchNorm.

    On leaving, and on any exception, all is put back that `preserved` covers, and besides it the parameters, the
    buffers and their values, and settings of modules such as the probability of a dropout.
    """
    with ExitStack() as stack, torch.no_grad():
        values = {id(each): each for part in module.modules() for each in _values(part)}
        for each in values.values():
            stack.callback(_value_restorer(each))
        for part in module.modules():
            stack.callback(_attribute_restorer(part))
        with torch.enable_grad(), preserved(module):
            yield


def _values(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _value_restorer(tensor: torch.Tensor) -> Callable[[], None]:
    data, values = tensor.data, tensor.detach().clone()

    def restore() -> None:
        tensor.data = data
        if not torch.equal(data, values):
            data.copy_(values)

    return restore


def _attribute_restorer(module: nn.Module) -> Callable[[], None]:
    attributes = vars(module)
    settings = {name: value for name, value in attributes.items() if isinstance(value, _Setting)}
    tables = [(attributes[name], dict(attributes[name])) for name in ("_parameters", "_buffers")]

    def restore() -> None:
        attributes.update(settings)
        for table, content in tables:
            table.clear()
            table.update(content)

    return restore


_Setting = bool | int | float | str | tuple | None  # type: ignore[type-arg]  # looked at, not annotated with


def _module_restorer(module: nn.Module) -> Callable[[], None]:
    attributes = vars(module)
    training, forward = module.training, attributes.get("forward")
    # Handles of hooks refer to these dicts, so they are refilled, never replaced.
    tables = [(table, dict(table)) for name, table in attributes.items() if _is_table(name, table)]

    def restore() -> None:
        module.training = training
        for table, content in tables:
            table.clear()
            table.update(content)
        if forward is None:
            attributes.pop("forward", None)
        else:
            attributes["forward"] = forward

    return restore


def _is_table(name: str, value: Any) -> bool:
    return isinstance(value, dict) and (name == "_modules" or name.endswith(("_hooks", "_hooks_with_kwargs")))


def _parameter_restorer(parameter: Parameter) -> Callable[[], None]:
    required, gradient = parameter.requires_grad, parameter.grad

    def restore() -> None:
        parameter.requires_grad_(required)
        parameter.grad = gradient

    return restore
