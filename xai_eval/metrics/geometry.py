"""Where on the image a map or a mask lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.localisation import BoolMask, Map


@dataclass(frozen=True)
class Place:
    """A point as shares of the image: 0 is top or left, 1 bottom or right."""

    down: float
    across: float


def centre_of_mass(saliency: Map | BoolMask) -> Place | None:
    """Return the centre of mass of a map (h, w); None for one without mass."""
    import scipy.ndimage

    values: NDArray[Any] = saliency.astype(np.float64)
    if values.sum() <= 0.0:
        return None
    row, column = scipy.ndimage.center_of_mass(values)
    return Place(float(row + 0.5) / values.shape[0], float(column + 0.5) / values.shape[1])


def centre_distance(first: Map | BoolMask, second: Map | BoolMask) -> float:
    """Distance of two centres of mass as a share of the image's diagonal, in [0, 1]; NaN where one has none."""
    places = centre_of_mass(first), centre_of_mass(second)
    if places[0] is None or places[1] is None:
        return float("nan")
    height, width = first.shape
    down, across = (places[0].down - places[1].down) * height, (places[0].across - places[1].across) * width
    return float(np.hypot(down, across) / np.hypot(height, width))


def blobs(mask: BoolMask) -> int:
    """Count connected parts (eight neighbours) that hold at least a hundredth of the mask."""
    import skimage.measure

    labels = skimage.measure.label(mask, connectivity=2)
    areas = np.bincount(labels.reshape(-1))[1:]
    return int((areas >= 0.01 * mask.sum()).sum())
