"""Computes in full single precision on GPUs that would otherwise round inputs of convolutions to ten bits (TF32).

Also tells whether they would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch off TF32 inside the context, and restore all settings of precision on leaving. CPUs have no TF32."""
    before = arithmetic()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        restore_arithmetic(before)


def rounds_convolutions(device: torch.device) -> bool:
    """Whether convolutions on a device round their inputs to ten bits (TF32), as torch lets them on GPUs by default."""
    if device.type != "cuda":
        return False
    try:
        return bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:  # torch refuses to tell after one of its newer settings was set
        cudnn: Any = torch.backends.cudnn
        return bool(cudnn.conv.fp32_precision == "tf32")
