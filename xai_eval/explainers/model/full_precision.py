"""Computes in full single precision on GPUs that would otherwise round inputs of convolutions to ten bits (TF32)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
