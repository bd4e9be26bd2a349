"""Computes in full single precision on GPUs that would otherwise round inputs of convolutions to ten bits (TF32).

Also tells whether they would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic
from xai_eval.inputs.models.precision import asked_precision, convolutions_in_tf32, set_single
from xai_eval.result.precisions import TF32


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch off TF32 inside the context, and restore all settings of precision on leaving. CPUs have no TF32.

    It stays on if the run asked for it by name. Autocast stays as it is.
    """
    if asked_precision() == TF32:
        yield
        return
    before = arithmetic()
    set_single(tf32=False)
    try:
        yield
    finally:
        restore_arithmetic(before)


def rounds_convolutions(device: torch.device) -> bool:
    """Whether convolutions on a device round their inputs.

    With TF32, as torch lets GPUs do by default, they are rounded to ten bits, and with autocast to half precision.
    """
    if torch.is_autocast_enabled(device.type):
        return True
    return device.type == "cuda" and convolutions_in_tf32()
