"""Contain two side effects of pytorch-grad-cam: use of numpy's global random generator, and progress bars."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

_WITH_BARS = ("pytorch_grad_cam.ablation_cam", "pytorch_grad_cam.score_cam")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global random generator inside the context, and restore its state on leaving."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Turn off the progress bars of pytorch-grad-cam; those of other code stay on."""
    silent = SimpleNamespace(tqdm=lambda items: items)
    first, second = (importlib.import_module(name) for name in _WITH_BARS)
    with patch.object(first, "tqdm", silent), patch.object(second, "tqdm", silent):
        yield
