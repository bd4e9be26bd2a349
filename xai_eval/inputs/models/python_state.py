"""What a module keeps in attributes that are neither parameters nor buffers, such as a counter of passes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from torch import nn

from xai_eval.inputs.models.own_methods import parts_of

# What every module has is watched elsewhere: its weights, its mode and its hooks.
_OF_TORCH = frozenset(vars(nn.Module()))
_LARGEST = 10_000  # numbers of a tensor, or entries of a container; more are told by their count alone
_DEEPEST = 3


def python_state(module: nn.Module) -> Mapping[str, Hashable]:
    """Return what can be compared of the attributes of a module and all modules in it, by their names.

    Numbers, texts and tensors count, and lists, tuples, sets and mappings of them; other objects do not.
    """
    return {
        f"{place}.{name}" if place else name: _told(value)
        for place, part in parts_of(module).items()
        for name, value in vars(part).items()
        if name not in _OF_TORCH
    }


def _told(value: object, depth: int = 0) -> Hashable:
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return (*value.shape, repr(value.detach().flatten().tolist()) if value.numel() <= _LARGEST else "")
    if depth == _DEEPEST or not isinstance(value, list | tuple | set | dict):
        return type(value).__name__
    if len(value) > _LARGEST:
        return len(value)
    entries = value.items() if isinstance(value, dict) else value
    return (type(value).__name__, *(_told(each, depth + 1) for each in entries))
