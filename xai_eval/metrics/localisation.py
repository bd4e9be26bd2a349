"""How well a saliency map points at an object whose mask is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.map_similarity import iou

Map = NDArray[np.floating[Any]]
BoolMask = NDArray[np.bool_]

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


def pointing_hit(saliency: Map, mask: BoolMask, margin: tuple[int, int] = (0, 0)) -> bool:
    """Tell whether the hottest pixel lies inside the mask, both (h, w), or within a margin of it.

    The pointing game of Zhang et al. 2018 (Excitation Backprop), who allow 15 pixels because maps are coarse. Where
    several pixels are hottest, the one nearest to their mean counts, not the first in reading order.

    Args:
        saliency: the map.
        mask: the object.
        margin: rows and columns by which the hottest pixel may miss; see `half_cell`.
    """
    _check(saliency, mask)
    rows, columns = np.nonzero(saliency == saliency.max())
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    row, column = int(rows[nearest]), int(columns[nearest])
    top, left = max(0, row - margin[0]), max(0, column - margin[1])
    return bool(mask[top : row + margin[0] + 1, left : column + margin[1] + 1].any())


def half_cell(layer_shape: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Half a cell of a layer's map (h, w) in pixels of the image (H, W): where in its hottest cell a map peaks is
    a matter of interpolation. 16 pixels for maps of 7 x 7 over 224 x 224.
    """
    return round(shape[0] / layer_shape[0] / 2), round(shape[1] / layer_shape[1] / 2)


def energy_inside(saliency: Map, mask: BoolMask) -> float:
    """Share of the map's sum that lies inside the mask, in [0, 1]; NaN for a map without energy.

    The energy-based pointing game of Wang et al. 2020 (Score-CAM).
    """
    _check(saliency, mask)
    total = float(saliency.sum(dtype=np.float64))
    return float(saliency[mask].sum(dtype=np.float64)) / total if total > 0 else float("nan")


def iou_at_equal_area(saliency: Map, mask: BoolMask) -> float:
    """IoU of the mask with the hottest pixels of equal number, in [0, 1]; ties are broken in reading order."""
    _check(saliency, mask)
    return iou(hottest(saliency, int(np.count_nonzero(mask))), mask)


def hottest(saliency: Map, area: int) -> BoolMask:
    """Return the `area` hottest pixels of a map (h, w); ties are broken in reading order."""
    hot = np.zeros(saliency.size, dtype=bool)
    hot[np.argsort(-saliency.reshape(-1), kind="stable")[:area]] = True
    return hot.reshape(saliency.shape)


def iou_sweep(saliency: Map, mask: BoolMask, thresholds: Sequence[float] = THRESHOLDS) -> tuple[float, ...]:
    """IoU of the mask with `saliency > t` for every threshold t, in their order."""
    _check(saliency, mask)
    return tuple(iou(saliency > threshold, mask) for threshold in thresholds)


def _check(saliency: Map, mask: BoolMask) -> None:
    if saliency.shape != mask.shape:
        raise ValueError(f"map and mask must share one shape, got {saliency.shape} and {mask.shape}")
