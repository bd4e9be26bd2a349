"""Contain the use of the global random generators by code that is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from xai_eval.explainers.cam.side_effects import seeded


@contextmanager
def all_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of numpy and torch while the context is open, and then restore their state."""
    with seeded(seed), torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
