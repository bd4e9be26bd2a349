"""Find the module behind a compiled one, and refuse modules whose inside cannot be reached."""

from __future__ import annotations

import torch
from torch import nn

from xai_eval.errors import UsageError


def uncompiled(module: nn.Module, name: str) -> nn.Module:
    """Return the original of a module that `torch.compile` wrapped, with compiled parts replaced by their originals.

    A compiled module computes the same, but its layers cannot be watched: hooks on them are compiled away or ignored.

    Args:
        module: the module. Parts of it that are compiled are replaced in place.
        name: its name, for errors.

    Raises:
        UsageError: the module, or a part of it, is TorchScript.
    """
    original = _original(module)
    for parent in list(original.modules()):
        for key, part in list(parent.named_children()):
            setattr(parent, key, _original(part))
    for part in original.modules():
        # Set by `module.compile()`, which compiles in place.
        part._compiled_call_impl = None
    _refuse_scripted(original, name)
    return original


def _original(module: nn.Module) -> nn.Module:
    found = getattr(module, "_orig_mod", None)
    return _original(found) if isinstance(found, nn.Module) else module


def _refuse_scripted(module: nn.Module, name: str) -> None:
    for place, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            where = f"its part {place!r}" if place else "the model"
            raise UsageError(
                f"{name}: {where} is TorchScript ({type(part).__name__}), whose layers cannot be "
                "watched. Give the Python module that was scripted or traced, with the same weights."
            )
