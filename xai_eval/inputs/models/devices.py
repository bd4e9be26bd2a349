"""Choose the device that a network runs on."""

from __future__ import annotations

import torch
from torch import nn

from xai_eval.errors import UsageError, error_line
from xai_eval.inputs.models.own_methods import buffers_of, methods_called, parameters_of


def move(module: nn.Module, device: str) -> None:
    """Move a module to a PyTorch device such as "cpu" or "cuda:0"; "auto" is the GPU if there is one, else the CPU.

    Without a number, a module stays on the device of that kind on which it is, or on several, if it is divided.

    Raises:
        UsageError: the name is not that of a device, the device cannot be used on this machine, or a method that the
            module defines in place of torch's raises.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with methods_called(type(module).__name__):
            if not _is_on(module, torch.device(device)):
                module.to(torch.device(device))
    except TypeError as error:
        raise UsageError(
            f"to() of {type(module).__name__} does not take a device ({error_line(error)}), as it does in "
            "torch.nn.Module. Give this method another name."
        ) from error
    # If PyTorch was built without CUDA, it raises an AssertionError.
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device!r} cannot be used here ({error_line(error)}). Use cpu or auto.") from error


def _is_on(module: nn.Module, device: torch.device) -> bool:
    kinds = {each.device.type for part in (parameters_of, buffers_of) for each in part(module)}
    return str(device) == device.type != "cpu" and kinds == {device.type}
