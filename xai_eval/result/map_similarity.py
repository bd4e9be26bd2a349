"""How far two maps or masks say the same thing: pure functions used on both sides of a Result.

A mean absolute difference is blind to what matters: a 5x5 hot spot that moves across a 224x224 map changes the
mean by 0.1 %, harmless noise of 1 % changes it by 0.8 %. So maps are compared by their ranking, their hot area and
where their mass lies, after rounding to steps of `STEP`, so that noise below half a step cannot reorder what no eye
tells apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 0.05
_OFFSETS = (0.0, 0.25, 0.5, 0.75)
Map = NDArray[np.floating[Any]]
BoolMask = NDArray[np.bool_]


def iou(first: BoolMask, second: BoolMask) -> float:
    """Intersection over union of two masks of one shape, in [0, 1]; 1 for two empty masks.

    Raises:
        ValueError: the shapes differ; comparing only the overlap would hide it.
    """
    if first.shape != second.shape:
        raise ValueError(f"masks of different shapes cannot be compared: {first.shape} and {second.shape}")
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 1.0


def top_area(saliency: Map, share: float) -> BoolMask:
    """Mask of the hottest `share` (0 to 1) of a map; the whole plateau where the threshold falls on one.

    Cold pixels (below half a `STEP`) are never part of it, so the mask may be smaller than asked for.
    """
    steps = _steps(saliency)
    threshold = np.quantile(steps, 1.0 - share, method="higher")
    return np.asarray((steps >= threshold) & (steps > 0))


def rank_correlation(first: Map, second: Map) -> float:
    """Spearman's rank correlation of two maps in steps of `STEP`, in [-1, 1]; 1 for two flat maps, 0 for one.

    Wherever steps begin, a plateau that lies there falls apart under the slightest noise. So the largest of the
    correlations over several beginnings counts.
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
    """Ranks from 1 on, equal values sharing the mean of theirs: of few different values, which need no sorting."""
    levels = np.unique(steps)
    codes = np.searchsorted(levels, steps)
    counts = np.bincount(codes, minlength=len(levels))
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[codes])


def mass_moved(first: Map, second: Map) -> float:
    """Distance that the mass of one map must travel to become the other, as a share of the side, in [0, 1].

    The larger of the two Wasserstein-1 distances of the marginals over rows and over columns, a lower bound of the
    earth mover's distance in the plane. 1 if only one map has mass, 0 if neither has.
    """
    totals = float(first.sum()), float(second.sum())
    if min(totals) <= 0.0:
        return float(max(totals) > 0.0)
    return max(_marginal_distance(first, second, axis) for axis in (0, 1))


def centre_moved(now: Map | BoolMask, was: Map | BoolMask) -> dict[str, float]:
    """Tell how far the centre of mass moved, down (`row`) and to the right (`column`), as shares of the side.

    Both are of one shape (h, w) and neither is empty.
    """
    (row, column), (row_was, column_was) = _centre(now), _centre(was)
    return {"row": (row - row_was) / now.shape[0], "column": (column - column_was) / now.shape[1]}


def _centre(saliency: Map | BoolMask) -> tuple[float, float]:
    rows, columns = saliency.sum(axis=1, dtype=np.float64), saliency.sum(axis=0, dtype=np.float64)
    mass = float(rows.sum())
    return float(np.arange(len(rows)) @ rows) / mass, float(np.arange(len(columns)) @ columns) / mass


def _marginal_distance(first: Map, second: Map, axis: int) -> float:
    cumulated = [np.cumsum(m.sum(axis=axis, dtype=np.float64)) / m.sum(dtype=np.float64) for m in (first, second)]
    return float(np.abs(cumulated[0] - cumulated[1]).mean())


def _steps(saliency: Map, offset: float = 0.0) -> NDArray[np.floating[Any]]:
    return np.round(np.asarray(saliency, dtype=np.float64) / STEP + offset)
