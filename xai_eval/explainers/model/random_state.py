"""Contain the use of the global random generators by code that is not ours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from xai_eval.explainers.cam.side_effects import seeded


@contextmanager
def all_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of numpy, torch and Python while the context is open, then restore their state."""
    state = random.getstate()
    random.seed(seed)
    try:
        with seeded(seed), torch.random.fork_rng(devices=_devices()):
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(state)


def _devices() -> range | None:
    """Return the GPUs whose generators are restored; None for all devices of another kind.

    Torch by itself would start CUDA in a process that computes on its CPU, and warn of several GPUs.
    """
    if not torch.cuda.is_available():
        return None
    cuda: Any = torch.cuda
    return range(cuda.device_count() if cuda.is_initialized() else 0)
