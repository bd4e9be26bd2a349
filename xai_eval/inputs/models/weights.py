"""Weights of a model: read without executing anything, loaded strictly, and told apart by a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from xai_eval.errors import InputUnavailable, ModelMisbehaves, error_line


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 over the sorted state: name, type, shape and bytes of every tensor.

    Equal digests mean equal weights on any device. Buffers that PyTorch does not save are not part of it.

    Raises:
        ModelMisbehaves: the state holds something other than tensors with values, which no digest can vouch for.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, torch.Tensor):
            raise ModelMisbehaves(
                f"the state of {type(module).__name__} holds a {type(value).__name__} under {name!r}; "
                "expected tensors only, because the digest of the weights is over bytes. Use a float model."
            )
        digest.update(_bytes(module, name, value))
    return digest.hexdigest()


def _bytes(module: nn.Module, name: str, value: torch.Tensor) -> bytes:
    try:
        head = f"{name} {value.dtype} {tuple(value.shape)}\n".encode()
        return head + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    except (RuntimeError, TypeError) as error:
        raise ModelMisbehaves(
            f"the weights {name!r} of {type(module).__name__} have no bytes that a digest could be over "
            f"({error_line(error)}). Load them onto a device, as dense tensors, before the model is explained."
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a PyTorch checkpoint as plain data; pickled code in it is refused, never run.

    Raises:
        InputUnavailable: the file is damaged, holds pickled objects, or is no dictionary.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file raises RuntimeError, EOFError, UnpicklingError or KeyError, depending on the place.
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
    """Load `state` into `module`, every name and shape exactly.

    Raises:
        InputUnavailable: the weights belong to another architecture.
    """
    try:
        module.load_state_dict(state, strict=True)
    except (RuntimeError, AttributeError) as error:
        raise other_architecture(module, origin, error) from error


def other_architecture(module: nn.Module | str, origin: Path, error: Exception) -> InputUnavailable:
    """Build the error for weights that do not fit the model, with the first misfit the library names."""
    name = module if isinstance(module, str) else type(module).__name__
    details = [line.strip() for line in str(error).splitlines() if line.strip()]
    misfit = details[1] if len(details) > 1 else details[0] if details else type(error).__name__
    return InputUnavailable(
        f"{origin} holds weights of another architecture than {name}: {misfit[:200]} "
        "Get the weights that were trained with this architecture."
    )
