"""Divides work on large arrays into parts that stay in the cache of the processor, and among threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

# How many numbers are processed at once, so that they stay in the cache of the processor.
BLOCK = 2**16


@contextlib.contextmanager
def on_threads(parts: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a `map` that works on torch's number of threads; for a single thread or part, the ordinary one."""
    count = min(torch.get_num_threads(), parts)
    if count < 2:
        yield map
        return
    with ThreadPoolExecutor(count) as threads:
        yield threads.map


def blocks(count: int, size: int, at_once: int = BLOCK) -> Iterator[slice]:
    """Divide `count` rows or columns of `size` numbers each into parts of `at_once` numbers."""
    step = max(1, at_once // max(1, size))
    return (slice(start, start + step) for start in range(0, count, step))
