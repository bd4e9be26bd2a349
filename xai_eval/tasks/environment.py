"""What the arithmetic depends on besides the code: library versions, device, precision flags."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each library, with Python's own."""
    versions = {name: importlib.metadata.version(name) for name in names}
    return {
        "python": platform.python_version(),
        "xai-eval": importlib.metadata.version("xai-eval"),
        **versions,
    }


def device_name(module: nn.Module) -> str:
    """Return where the model lives: `cpu`, or the name of the GPU."""
    import torch

    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def precision_flags() -> dict[str, bool | str]:
    """Return torch's flags that change arithmetic on this kind of device."""
    import torch

    flags: dict[str, bool | str] = {
        "float32_matmul": torch.get_float32_matmul_precision(),
        "mkldnn": bool(torch.backends.mkldnn.enabled),
    }
    if torch.cuda.is_available():
        flags["cudnn_tf32"] = bool(torch.backends.cudnn.allow_tf32)
        flags["cudnn_deterministic"] = bool(torch.backends.cudnn.deterministic)
    return flags
