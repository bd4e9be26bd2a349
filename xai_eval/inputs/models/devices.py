"""Choose the device that a network runs on."""

from __future__ import annotations

import torch
from torch import nn

from xai_eval.errors import UsageError, error_line


def move(module: nn.Module, device: str) -> None:
    """Move a module to a PyTorch device such as "cpu" or "cuda:0"; "auto" is the GPU if there is one, else the CPU.

    Raises:
        UsageError: the name is not that of a device, or the device cannot be used on this machine.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        module.to(torch.device(device))
    # If PyTorch was built without CUDA, it raises an AssertionError.
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device!r} cannot be used here ({error_line(error)}). Use cpu or auto.") from error
