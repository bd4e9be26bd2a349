"""Contain the use of the global random generators by code that is not ours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from xai_eval.explainers.cam.side_effects import seeded


@contextmanager
def all_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of numpy, torch and Python while the context is open, then restore their state."""
    state = random.getstate()
    random.seed(seed)
    try:
        with seeded(seed), torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(state)
