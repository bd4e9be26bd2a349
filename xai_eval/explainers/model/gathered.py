"""Gather on the CPU what a model computes batch by batch, without waiting for the device in between."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import torch
from numpy.typing import NDArray


def gathered(batches: Iterable[torch.Tensor], count: int) -> NDArray[Any]:
    """Return all rows of some batches in one array, (count, ...).

    On CUDA, batches are copied into pinned memory while the next ones are computed, and only the last is waited for.
    The array is allocated before the second batch: small arrays allocated between the batches of images would keep
    the allocator from giving the memory of the images back, gigabytes in all.

    Args:
        batches: at least one; each has some rows, (n, ...), on the device of the model.
        count: number of all rows together.
    """
    rest = iter(batches)
    first = next(rest)
    on_cuda, start = first.device.type == "cuda", 0
    rows = torch.empty((count, *first.shape[1:]), dtype=first.dtype, device="cpu", pin_memory=on_cuda)
    for batch in itertools.chain([first], rest):
        rows[start : start + len(batch)].copy_(batch, non_blocking=on_cuda)
        start += len(batch)
    if on_cuda:
        torch.cuda.current_stream(first.device).synchronize()
    return rows.numpy()
