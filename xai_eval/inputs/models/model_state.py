"""Restore a model after a library has changed it.

pytorch-grad-cam switches the model to evaluation mode and clears its gradients. When it fails half-way, it leaves hooks
and a replaced layer behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter

from xai_eval.inputs.models.later_checks import read_together
from xai_eval.inputs.models.own_methods import buffers_of, parameters_of


@contextmanager
def preserved(module: nn.Module) -> Iterator[None]:
    """Freeze a model while the context is open, and restore it on leaving, also after an exception.

    Of every module, the training flag, the submodules, the hooks and a `forward` set on the instance are restored; of
    every parameter, `requires_grad` and `.grad`. Inside the context no parameter requires a gradient, so a backward
    pass does not fill `.grad`, nor call hooks that wait for a gradient (some optimisers step in them). Values of
    parameters, buffers and the user's own gradient tensors are not touched.
    """
    with ExitStack() as stack:
        for part in module.modules():
            stack.callback(_module_restorer(part))
        for parameter in parameters_of(module):
            stack.callback(_parameter_restorer(parameter))
            parameter.requires_grad_(False)
            parameter.grad = None
        yield


@contextmanager
def lent(module: nn.Module) -> Iterator[None]:
    """Restore a model after code that may change anything in it; training mode, say, changes buffers of BatchNorm.

    When the context ends, also by an exception, everything that `preserved` covers is restored, and also the
    parameters and buffers with their values, and settings of modules such as the probability of a dropout.
    """
    with ExitStack() as stack, torch.no_grad():
        values = {id(each): each for part in module.modules() for each in _values(part)}
        stack.callback(_values_restorer(list(values.values())))
        for part in module.modules():
            stack.callback(_attribute_restorer(part))
        with torch.enable_grad(), preserved(module):
            yield


@contextmanager
def handed_over(module: nn.Module) -> Iterator[None]:
    """Restore a model as `lent` does, after code of a user. Parameters require gradients as they were given.

    So pytorch-grad-cam, say, does in that code what it does outside of this package.
    """
    required = [(parameter, parameter.requires_grad) for parameter in parameters_of(module)]
    with lent(module):
        for parameter, as_given in required:
            parameter.requires_grad_(as_given)
        yield


HookTables = Sequence[tuple[dict[Any, Any], dict[Any, Any]]]


def hooks_of(module: nn.Module) -> HookTables:
    """Return the tables of hooks of a model and of its parts, each with what it holds now."""
    tables = (table for part in module.modules() for name, table in vars(part).items() if _is_table(name, table))
    return [(table, dict(table)) for table in tables if table]


def keep_hooks(hooks: HookTables) -> None:
    """Put hooks back that the model registered itself while it was lent.

    Some models register hooks in their first pass and never again, as those of transformers do that return the states
    of their layers. Without the hooks, each later pass would return none.
    """
    for table, content in hooks:
        table.update(content)


def _values(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from parameters_of(module, recurse=False)
    yield from buffers_of(module, recurse=False)


def _values_restorer(tensors: Sequence[torch.Tensor]) -> Callable[[], None]:
    kept = [(each, each.data, each.detach().clone()) for each in tensors]

    def restore() -> None:
        for tensor, data, _ in kept:
            tensor.data = data
        for data, values in _changed([(data, values) for _, data, values in kept]):
            data.copy_(values)

    return restore


def _changed(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the pairs of which the tensors differ. A device is waited for once, not once per tensor of the model."""
    sparse = [pair for pair in pairs if pair[0].layout is not torch.strided]  # they cannot be compared
    dense = [pair for pair in pairs if pair[0].layout is torch.strided]
    far = [pair for pair in dense if pair[0].device.type not in ("cpu", "meta")]
    flags = read_together([(data != values).any() for data, values in far])
    here = [pair for pair in dense if pair[0].device.type == "cpu" and not torch.equal(*pair)]
    return [*sparse, *here, *(pair for pair, differs in zip(far, flags, strict=True) if differs)]


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


_Setting = bool | int | float | str | tuple | None  # type: ignore[type-arg]  # Used in isinstance only, not in annotations.


def _module_restorer(module: nn.Module) -> Callable[[], None]:
    attributes = vars(module)
    training, forward = module.training, attributes.get("forward")
    # The handles that remove hooks refer to these dicts, so the dicts are refilled instead of replaced.
    tables = [(table, dict(table)) for name, table in attributes.items() if _is_restored(name, table)]

    def restore() -> None:
        if module.training is not training:
            module.training = training
        for table, content in tables:
            if table or content:  # nearly all are empty, and a large network has thousands
                table.clear()
                table.update(content)
        if forward is None:
            attributes.pop("forward", None)
        else:
            attributes["forward"] = forward

    return restore


def _is_restored(name: str, value: Any) -> bool:
    return _is_table(name, value) or (name == "_modules" and isinstance(value, dict))


def _is_table(name: str, value: Any) -> bool:
    """Whether an attribute of a module is a table of hooks."""
    return isinstance(value, dict) and name.endswith(("_hooks", "_hooks_with_kwargs"))


def _parameter_restorer(parameter: Parameter) -> Callable[[], None]:
    required, gradient = parameter.requires_grad, parameter.grad

    def restore() -> None:
        parameter.requires_grad_(required)
        parameter.grad = gradient

    return restore
