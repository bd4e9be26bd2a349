"""Whether an explainer of the user gives the same map twice: what is random in it would be a drift at every run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.result.fields import Field

# Rounding on one machine differs by less, as a share of the largest value; so does a model's answer in another pass.
LARGEST_REPETITION = 1e-4
_REMEDY = (
    "The generators of torch, numpy and Python are seeded before each call. Seed others by a fixed number where they "
    "are made (numpy.random.default_rng(0), torch.Generator().manual_seed(0)), and keep nothing between two calls."
)


def remark_on_repetition(name: str, maps: tuple[NDArray[Any], NDArray[Any]], fields: tuple[Field, Field]) -> str:
    """Return what has to be said of two maps of one image by one explainer; nothing if they are the same.

    Args:
        name: name of the explainer.
        maps: what it gave when it was called first, and again, (H, W).
        fields: the two as fields of a result.

    Raises:
        UsageError: they differ by more than a golden allows, so that every later run would be a drift.
    """
    if np.array_equal(*maps, equal_nan=True):
        return ""
    largest = float(np.abs(maps[0]).max())
    difference = float(np.abs(maps[0] - maps[1]).max())
    if difference <= LARGEST_REPETITION * max(largest, 1e-30):
        return ""
    told = f"{name} gives the same image another map when it is called again, by up to {difference:.3g} "
    told += f"where the map reaches {largest:.3g}."
    if fields[1].compare(fields[0].condensed(), name):
        raise UsageError(f"{told} So it could not be compared with a golden. {_REMEDY}")
    return f"{told} A golden allows as much. {_REMEDY}"
