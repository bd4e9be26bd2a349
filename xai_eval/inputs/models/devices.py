"""Where a network runs."""

from __future__ import annotations

import torch
from torch import nn

from xai_eval.errors import UsageError, error_line


def move(module: nn.Module, device: str) -> None:
    """Move a module to a PyTorch device such as "cpu" or "cuda:0"; "auto" takes the GPU if there is one.

    Raises:
        UsageError: the device is not there, or is no device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        module.to(torch.device(device))
    # PyTorch raises an AssertionError when it was built without CUDA.
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device!r} cannot be used here ({error_line(error)}). Use cpu or auto.") from error
