"""Find the module behind a compiled one, and refuse modules whose inside cannot be reached."""

from __future__ import annotations

import torch
from torch import nn

from xai_eval.errors import UsageError, error_line
from xai_eval.inputs.models.own_methods import check_parts, children_of, methods_called, parts_of


def uncompiled(module: nn.Module, name: str) -> nn.Module:
    """Return the original of a module that `torch.compile` wrapped, in evaluation mode.

    A compiled module computes the same, but its layers cannot be watched: hooks on them are compiled away or ignored.

    Args:
        module: the module. Parts of it that are compiled are replaced by their originals in place.
        name: its name, for errors.

    Raises:
        UsageError: the module, or a part of it, is TorchScript, it was made by torch.export, or it defines methods in
            place of torch's that hide parts of it, or raise.
    """
    original = _original(module)
    check_module(original, name)
    with methods_called(name):
        return _prepared(original, name)


def _prepared(original: nn.Module, name: str) -> nn.Module:
    for parent in list(original.modules()):
        for key, part in list(parent.named_children()):
            if _original(part) is not part:
                setattr(parent, key, _original(part))
    for part in original.modules():
        # Set by `module.compile()`, which compiles in place.
        if part._compiled_call_impl is not None:
            part._compiled_call_impl = None
        _restore_forward(part)
    _refuse_exported(original, name)
    return original


def check_module(module: nn.Module, name: str) -> None:
    """Check that the inside of a module can be reached.

    Raises:
        UsageError: it is no module; or the module, or a part of it, is TorchScript, or hides parts of it.
    """
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{name}: the model is a {type(module).__name__}; expected a torch.nn.Module. Write a function as the "
            "forward of a module; of an object that holds one, such as a pipeline, give the module."
        )
    _refuse_scripted(module, name)
    check_parts(module, name)


def _original(module: nn.Module) -> nn.Module:
    # Not by getattr: a module may return something for every name.
    found = children_of(module).get("_orig_mod")
    return module if found is None else _original(found)


def _restore_forward(part: nn.Module) -> None:
    """Undo `module.forward = torch.compile(module.forward)`."""
    forward = vars(part).get("forward")
    written = getattr(forward, "_torchdynamo_orig_callable", None)
    if written is not None:
        part.forward = written


def _refuse_exported(module: nn.Module, name: str) -> None:
    try:
        module.eval()
    except NotImplementedError as error:  # raised by what torch.export returns
        raise UsageError(
            f"{name} cannot be put into evaluation mode ({error_line(error)}), as is the case for modules of "
            "torch.export, whose layers are gone. Give the Python module that was exported, with the same weights."
        ) from error


def _refuse_scripted(module: nn.Module, name: str) -> None:
    for place, part in parts_of(module).items():
        if isinstance(part, torch.jit.ScriptModule):
            where = f"its part {place!r}" if place else "the model"
            raise UsageError(
                f"{name}: {where} is TorchScript ({type(part).__name__}), whose layers cannot be "
                "watched. Give the Python module that was scripted or traced, with the same weights."
            )
