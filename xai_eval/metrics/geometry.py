"""Measures where on the image a map or a mask lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.localisation import BoolMask, Map


@dataclass(frozen=True)
class Place:
    """A point on the image.

    Attributes:
        down: position from the top (0) to the bottom (1).
        across: position from the left (0) to the right (1).
    """

    down: float
    across: float


def centre_of_mass(saliency: Map | BoolMask) -> Place | None:
    """Return the centre of mass of a map, (h, w), by scipy; None if the map has no positive sum."""
    import scipy.ndimage

    values: NDArray[Any] = saliency.astype(np.float64)
    if values.sum() <= 0.0:
        return None
    row, column = scipy.ndimage.center_of_mass(values)
    return Place(float(row + 0.5) / values.shape[0], float(column + 0.5) / values.shape[1])


def centre_distance(first: Map | BoolMask, second: Map | BoolMask) -> float:
    """Return the distance of the centres of mass of two maps, (h, w) each, as a share of the image's diagonal.

    The result lies in [0, 1], and lower is nearer. It is NaN if a map has no centre of mass.
    """
    places = centre_of_mass(first), centre_of_mass(second)
    if places[0] is None or places[1] is None:
        return float("nan")
    height, width = first.shape
    down, across = (places[0].down - places[1].down) * height, (places[0].across - places[1].across) * width
    return float(np.hypot(down, across) / np.hypot(height, width))


def blobs(mask: BoolMask) -> int:
    """Count the connected parts of a mask, (h, w), by scikit-image; pixels that touch at a corner are connected.

    Parts with less than a hundredth of the pixels of the mask are not counted.
    """
    import skimage.measure

    labels = skimage.measure.label(mask, connectivity=2)
    areas = np.bincount(labels.reshape(-1))[1:]
    return int((areas >= 0.01 * mask.sum()).sum())
