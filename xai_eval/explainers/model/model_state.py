"""Restore a model after a library has changed it.

pytorch-grad-cam switches the model to evaluation mode and clears its gradients. When it fails half-way, it leaves hooks
and a replaced layer behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn import Parameter


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
        for parameter in module.parameters():
            stack.callback(_parameter_restorer(parameter))
            parameter.requires_grad_(False)
            parameter.grad = None
        yield


def _module_restorer(module: nn.Module) -> Callable[[], None]:
    attributes = vars(module)
    training, forward = module.training, attributes.get("forward")
    # The handles that remove hooks refer to these dicts, so the dicts are refilled instead of replaced.
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
