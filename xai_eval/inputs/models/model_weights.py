"""Read weights without running code from the file, load them into a model, and compute their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xai_eval.disk.door import opened
from xai_eval.disk.git_lfs import is_pointer_file, pointer_sentence
from xai_eval.errors import InputUnavailable, ModelMisbehaves, error_line
from xai_eval.inputs.models.own_methods import methods_called


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 over the weights, sorted by name: name, type, shape and bytes of every tensor.

    Equal digests mean equal weights, on any device. Buffers that PyTorch does not save do not count. What a model adds
    to its state, or packs as quantised weights, counts as well; what it leaves out of its state does not get lost.

    Raises:
        ModelMisbehaves: the state holds something other than tensors and plain values, so it cannot be digested.
        UsageError: a `state_dict` of the model's own raises.
    """
    digest = hashlib.sha256()
    for name, value in sorted({**_state(module), **_own_tensors(module)}.items()):
        digest.update(_bytes(module, name, value))
    return digest.hexdigest()


def _state(module: nn.Module) -> Mapping[str, Any]:
    with methods_called(type(module).__name__):
        state = module.state_dict()
    if not isinstance(state, Mapping):
        raise ModelMisbehaves(
            f"state_dict() of {type(module).__name__} returns a {type(state).__name__}; expected a mapping from names "
            "to tensors, as in torch.nn.Module. Let it return one, or give it another name."
        )
    return state


def _own_tensors(module: nn.Module) -> Mapping[str, torch.Tensor]:
    """Parameters and saved buffers by name, also of a model whose `state_dict` leaves some out."""
    unsaved = {
        f"{place}.{name}" if place else name
        for place, part in module.named_modules()
        for name in part._non_persistent_buffers_set
    }
    buffers = nn.Module.named_buffers(module, remove_duplicate=False)
    return {
        **dict(nn.Module.named_parameters(module, remove_duplicate=False)),
        **{name: buffer for name, buffer in buffers if name not in unsaved},
    }


def _bytes(module: nn.Module, name: str, value: object) -> bytes:
    if isinstance(value, torch.Tensor) and value.is_quantized:
        return _bytes(module, name, (value.int_repr(), repr(value.qscheme()), value.dequantize()))
    if isinstance(value, torch.Tensor):
        return _bytes_of_tensor(module, name, value)
    if isinstance(value, tuple | list):
        return b"".join(_bytes(module, f"{name}[{place}]", each) for place, each in enumerate(value))
    if isinstance(value, dict):
        return b"".join(_bytes(module, f"{name}[{key!r}]", each) for key, each in sorted(value.items(), key=repr))
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return f"{name} {value!r}\n".encode()
    raise ModelMisbehaves(
        f"the state of {type(module).__name__} holds a {type(value).__name__} under {name!r}; expected tensors and "
        "plain values, because the digest is computed from their bytes. Keep other objects out of get_extra_state() "
        "and state_dict()."
    )


def _bytes_of_tensor(module: nn.Module, name: str, value: torch.Tensor) -> bytes:
    try:
        head = f"{name} {value.dtype} {tuple(value.shape)}\n".encode()
        return head + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError) as error:
        raise ModelMisbehaves(
            f"the weights {name!r} of {type(module).__name__} have no bytes from which a digest could be computed "
            f"({error_line(error)}). Load them onto a device, as dense tensors, before the model is explained."
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a PyTorch checkpoint as plain data; pickled objects, which could run code, are refused.

    Raises:
        InputUnavailable: the file is damaged or a Git LFS pointer, holds pickled objects, or holds no dictionary.
    """
    if is_pointer_file(path):
        raise InputUnavailable(pointer_sentence(path))
    try:
        with opened(path, follow=True) as file:
            checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    # A damaged file raises RuntimeError, EOFError, UnpicklingError or KeyError, depending on what is damaged.
    except Exception as error:
        raise InputUnavailable(
            f"{path} cannot be read as plain weights ({error_line(error)}). It is damaged, or it holds "
            "pickled objects, which are never run here. Get the file again, or save it with "
            "torch.save(model.state_dict(), ...)."
        ) from error
    if not isinstance(checkpoint, dict):
        raise InputUnavailable(
            f"{path} holds a {type(checkpoint).__name__}; expected a dictionary of weights. Save it with "
            "torch.save(model.state_dict(), ...)."
        )
    return checkpoint


def load_weights(module: nn.Module, state: Mapping[str, Any], origin: Path) -> None:
    """Load `state` into `module`; all names and shapes must match.

    Args:
        module: the model, changed in place.
        state: weights by name.
        origin: the file that they come from, for the error.

    Raises:
        InputUnavailable: the weights belong to another architecture.
    """
    try:
        module.load_state_dict(state, strict=True)
    except (RuntimeError, AttributeError) as error:
        raise other_architecture(module, origin, error) from error


def other_architecture(module: nn.Module | str, origin: Path, error: Exception) -> InputUnavailable:
    """Return the error for weights that do not fit the model, with the first mismatch that the library names."""
    name = module if isinstance(module, str) else type(module).__name__
    details = [line.strip() for line in str(error).splitlines() if line.strip()]
    misfit = details[1] if len(details) > 1 else details[0] if details else type(error).__name__
    return InputUnavailable(
        f"{origin} holds weights of another architecture than {name}: {misfit[:200]} "
        "Get the weights that were trained with this architecture."
    )
