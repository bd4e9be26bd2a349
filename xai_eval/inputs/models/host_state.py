"""Restores what code of a user may change for the whole process while it only loads something."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic

if TYPE_CHECKING:
    import torch


@contextmanager
def host_kept() -> Iterator[list[str]]:
    """Restore the working directory, the filters of warnings, and the settings of torch when the context ends.

    The settings are device, dtype, gradients on or off, deterministic algorithms, anomaly detection, the number of
    threads, and the flags of precision and of the libraries below torch. If they stayed, the result of a model would
    depend on which other models were loaded before it.

    Yields:
        A list. At the end it names the settings that change how numbers are computed and that were set back.
    """
    folder, changed = Path.cwd(), list[str]()
    before, arithmetic_before = (_defaults(), arithmetic()) if "torch" in sys.modules else (None, None)
    try:
        with warnings.catch_warnings():
            yield changed
    finally:
        os.chdir(folder)
        if "torch" in sys.modules:
            changed += _restore(before or _Defaults())
            changed += restore_arithmetic(arithmetic_before or {})


@contextmanager
def settings_kept() -> Iterator[list[str]]:
    """Restore the settings of torch when the context ends, and name those that differed.

    Yields:
        A list. At the end it names the settings that the code inside left changed.
    """
    changed, before, arithmetic_before = list[str](), _defaults(), arithmetic()
    try:
        yield changed
    finally:
        now = _defaults()
        changed += [_NAMES[each.name] for each in fields(now) if getattr(now, each.name) != getattr(before, each.name)]
        _restore(before)
        changed += restore_arithmetic(arithmetic_before)


_NAMES = {
    "device": "torch.set_default_device",
    "dtype": "torch.set_default_dtype",
    "gradients": "torch.set_grad_enabled",
    "deterministic": "torch.use_deterministic_algorithms",
    "warn_only": "torch.use_deterministic_algorithms",
    "anomalies": "torch.autograd.set_detect_anomaly",
}


@dataclass(frozen=True)
class _Defaults:
    """Defaults of torch; without arguments, those of a torch that was just imported.

    Attributes:
        device: the default device; None if nobody has set one.
        dtype: the default dtype; None for float32.
        gradients: whether gradients are recorded.
        deterministic: whether only deterministic algorithms may run.
        warn_only: whether other algorithms then warn instead of raising an error.
        anomalies: whether anomalies in the backward pass are looked for.
    """

    device: torch.device | None = None
    dtype: torch.dtype | None = None
    gradients: bool = True
    deterministic: bool = False
    warn_only: bool = False
    anomalies: bool = False


def _defaults() -> _Defaults:
    import torch

    device = torch.get_default_device()
    return _Defaults(
        None if device == torch.device("cpu") else device,
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.is_anomaly_enabled(),
    )


def _restore(before: _Defaults) -> list[str]:
    """Set the defaults back; return the names of those that change how numbers are computed and that differed."""
    import torch

    now = _defaults()
    if now.device != before.device:
        torch.set_default_device(before.device)
    torch.set_default_dtype(before.dtype or torch.float32)
    torch.set_grad_enabled(before.gradients)
    torch.use_deterministic_algorithms(before.deterministic, warn_only=before.warn_only)
    if now.anomalies != before.anomalies:
        torch.autograd.set_detect_anomaly(before.anomalies)
    return ["torch.use_deterministic_algorithms"] if now.deterministic != before.deterministic else []
