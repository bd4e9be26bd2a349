"""A few numbers per image that tell where the units of a layer are active, which their means over places do not."""

from __future__ import annotations

import functools

import numpy as np
import torch

SKETCH = 8
_SEED = 20261126
_PLACES = 2  # dimensions of an output without places: images and units


def sketch_of_places(output: torch.Tensor) -> torch.Tensor | None:
    """Return eight sums per image over all units and places of a layer, with random signs, (n, 8), on its device.

    They are linear in the output, so that the relative distance of two such arrays estimates that of two outputs. An
    output (n, J, h, w) or (n, tokens, J) that is mirrored has other sums, although its means over places are the same.
    None for vectors (n, J), which have no places.
    """
    if output.dim() == _PLACES:
        return None
    flat = output.flatten(1)
    parts = (flat * _signs(flat.shape[1], flat.device)).tensor_split(SKETCH, dim=1)
    return torch.stack([part.sum(dim=1) for part in parts], dim=1)


@functools.lru_cache(maxsize=16)
def _signs(count: int, device: torch.device) -> torch.Tensor:
    """Return fixed random signs, (count,). The raw output of PCG64 is the same in every version of numpy."""
    raw = np.atleast_1d(np.random.PCG64(_SEED).random_raw(count)).astype(np.uint64)
    return torch.from_numpy(np.where(raw >> np.uint64(63), -1.0, 1.0).astype(np.float32)).to(device)
