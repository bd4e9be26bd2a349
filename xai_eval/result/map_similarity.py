"""Similarity of two maps or masks: pure functions, used by metrics as well as by comparisons with goldens.

A mean absolute difference does not show what matters: a 5x5 hot spot that moves across a 224x224 map gives 0.1 %, and
harmless noise of 1 % gives 0.8 %. So maps are compared by the ranking of their pixels, by their hottest area and by the
place of their mass. They are first rounded to steps of `STEP`, so that noise below half a step cannot reorder pixels
that look the same.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 0.05
_OFFSETS = (0.0, 0.25, 0.5, 0.75)
_FEW_LEVELS = 10_000
Map = NDArray[np.floating[Any]]
BoolMask = NDArray[np.bool_]


def iou(first: BoolMask, second: BoolMask) -> float:
    """Return the intersection over union of two masks of the same shape, in [0, 1]; 1 for two empty masks.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"masks of different shapes cannot be compared: {first.shape} and {second.shape}")
    both = int(np.count_nonzero(first & second))
    union = int(np.count_nonzero(first)) + int(np.count_nonzero(second)) - both
    return both / union if union else 1.0


def top_area(saliency: Map, share: float) -> BoolMask:
    """Return a mask of the hottest `share` (0 to 1) of a map.

    If the threshold falls on a plateau of equal pixels, all of them belong to the mask. Cold pixels (below half a
    `STEP`) never do, so the mask may also be smaller than `share`.
    """
    steps = _steps(saliency)
    threshold = np.quantile(steps, 1.0 - share, method="higher")
    return np.asarray((steps >= threshold) & (steps > 0))


def rank_correlation(first: Map, second: Map) -> float:
    """Spearman's rank correlation of two maps in steps of `STEP`, in [-1, 1]; 1 for two flat maps, 0 for one.

    A plateau that lies on the border of two steps is split by the slightest noise. So the steps are shifted by several
    offsets, and the largest of the correlations is returned.
    """
    return max(_rank_correlation(first, second, offset) for offset in _OFFSETS)


def _rank_correlation(first: Map, second: Map, offset: float) -> float:
    ranks = [_ranks(_steps(m, offset).reshape(-1)) for m in (first, second)]
    flat = [bool(np.ptp(r) == 0) for r in ranks]
    if any(flat):
        return float(all(flat))
    now, was = (r - r.mean() for r in ranks)
    return float(now @ was / np.sqrt((now @ now) * (was @ was)))


def _ranks(steps: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return ranks from 1 on of whole numbers; equal ones share their mean rank. Few levels need no sorting."""
    least = steps.min()
    few = steps.max() - least < _FEW_LEVELS
    codes = (steps - least).astype(np.intp) if few else np.searchsorted(np.unique(steps), steps)
    counts = np.bincount(codes)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[codes])


def mass_moved(first: Map, second: Map) -> float:
    """Return how far the mass of one map must travel to give the other map, as a share of the side, in [0, 1].

    The larger of the two Wasserstein-1 distances of the marginals over rows and over columns, a lower bound of the
    earth mover's distance in the plane. 1 if only one map has mass, 0 if neither has.
    """
    totals = float(first.sum()), float(second.sum())
    if min(totals) <= 0.0:
        return float(max(totals) > 0.0)
    return max(_marginal_distance(first, second, axis) for axis in (0, 1))


def mean(grid: NDArray[np.float64]) -> float:
    """Return the mean; the method of numpy takes four times as long for a small grid, of which a run has many."""
    return float(np.add.reduce(grid, axis=None) / grid.size)


def centre_moved(now: Map | BoolMask, was: Map | BoolMask) -> dict[str, float]:
    """Return how far the centre of mass moved, down (`row`) and to the right (`column`), as shares of the side.

    Both have the same shape (h, w) and neither is empty.
    """
    (row, column), (row_was, column_was) = _centre(now), _centre(was)
    return {"row": (row - row_was) / now.shape[0], "column": (column - column_was) / now.shape[1]}


def _centre(saliency: Map | BoolMask) -> tuple[float, float]:
    rows, columns = _marginal(saliency, 1), _marginal(saliency, 0)
    mass = float(np.add.reduce(rows))
    return float(_places(len(rows)) @ rows) / mass, float(_places(len(columns)) @ columns) / mass


@functools.lru_cache(maxsize=64)
def _places(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=np.float64)


def _marginal(saliency: Map | BoolMask, axis: int) -> NDArray[np.float64]:
    """Sum over an axis. Whole numbers take a third of the time, and their sum is exact as well."""
    if saliency.dtype.kind == "b":  # a comparison with `bool` takes as long as such a sum
        return np.asarray(np.add.reduce(saliency.view(np.uint8), axis=axis, dtype=np.int32), dtype=np.float64)
    return np.asarray(np.add.reduce(saliency, axis=axis, dtype=np.float64))


def _marginal_distance(first: Map, second: Map, axis: int) -> float:
    cumulated = [np.cumsum(m.sum(axis=axis, dtype=np.float64)) / m.sum(dtype=np.float64) for m in (first, second)]
    return float(np.abs(cumulated[0] - cumulated[1]).mean())


def _steps(saliency: Map, offset: float = 0.0) -> NDArray[np.floating[Any]]:
    return np.round(np.asarray(saliency, dtype=np.float64) / STEP + offset)
