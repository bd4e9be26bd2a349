"""Measures how well a saliency map points at an object whose mask is known. Higher is better for all of them."""

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
    """Tell whether the hottest pixel lies in the object, or within a margin around it.

    This is the pointing game of Zhang et al. 2018 (Excitation Backprop). They allow a margin of 15 pixels, because maps
    are coarse. If several pixels are equally hot, the one nearest to their mean position counts.

    Args:
        saliency: the map, (h, w).
        mask: the object, bool (h, w).
        margin: rows and columns by which the hottest pixel may miss the object; see `half_cell`.

    Raises:
        ValueError: the shapes of map and mask differ.
    """
    _check(saliency, mask)
    rows, columns = np.nonzero(saliency == saliency.max())
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    row, column = int(rows[nearest]), int(columns[nearest])
    top, left = max(0, row - margin[0]), max(0, column - margin[1])
    return bool(mask[top : row + margin[0] + 1, left : column + margin[1] + 1].any())


def half_cell(layer_shape: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Return half the height and width of a cell of a layer's map, in pixels of the image.

    It is the margin of the pointing game, because only interpolation decides where in its hottest cell a map peaks. For
    a map of 7 x 7 cells on an image of 224 x 224 pixels it is 16 pixels.

    Args:
        layer_shape: height and width of the layer's map, in cells.
        shape: height and width of the image, in pixels.
    """
    return round(shape[0] / layer_shape[0] / 2), round(shape[1] / layer_shape[1] / 2)


def energy_inside(saliency: Map, mask: BoolMask) -> float:
    """Return the share of the map's sum that lies in the object, in [0, 1]; higher is better.

    This is the energy-based pointing game of Wang et al. 2020 (Score-CAM). It is NaN if the sum is not positive.

    Args:
        saliency: the map, (h, w), without negative values.
        mask: the object, bool (h, w).

    Raises:
        ValueError: the shapes of map and mask differ.
    """
    _check(saliency, mask)
    total = float(saliency.sum(dtype=np.float64))
    return float(saliency[mask].sum(dtype=np.float64)) / total if total > 0 else float("nan")


def iou_at_equal_area(saliency: Map, mask: BoolMask) -> float:
    """Return the IoU of the object with equally many of the hottest pixels, in [0, 1]; higher is better.

    Equally hot pixels are taken in reading order.

    Args:
        saliency: the map, (h, w); only its order counts.
        mask: the object, bool (h, w).

    Raises:
        ValueError: the shapes of map and mask differ.
    """
    _check(saliency, mask)
    return iou(hottest(saliency, int(np.count_nonzero(mask))), mask)


def hottest(saliency: Map, area: int) -> BoolMask:
    """Return the mask, bool (h, w), of the `area` hottest pixels of a map; equal pixels are taken in reading order."""
    hot = np.zeros(saliency.size, dtype=bool)
    hot[np.argsort(-saliency.reshape(-1), kind="stable")[:area]] = True
    return hot.reshape(saliency.shape)


def iou_sweep(saliency: Map, mask: BoolMask, thresholds: Sequence[float] = THRESHOLDS) -> tuple[float, ...]:
    """Return the IoU of the object with the pixels above each threshold, in [0, 1]; higher is better.

    Args:
        saliency: the map, (h, w), in [0, 1].
        mask: the object, bool (h, w).
        thresholds: the thresholds, in [0, 1].

    Raises:
        ValueError: the shapes of map and mask differ.
    """
    _check(saliency, mask)
    return tuple(iou(saliency > threshold, mask) for threshold in thresholds)


def _check(saliency: Map, mask: BoolMask) -> None:
    if saliency.shape != mask.shape:
        raise ValueError(f"map and mask must have the same shape, got {saliency.shape} and {mask.shape}")
