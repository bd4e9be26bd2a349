"""Turn measured origins of pixels along one axis of the image into exact indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.inputs.models.derived.values import Floats

# Nearest-neighbour resizing moves origins by up to half a pixel.
_STRAIGHT = 0.6
_EDGE = 3
_FLAT = 0.25
_WHOLE = 0.2


@dataclass(frozen=True, eq=False)
class AxisFit:
    """The origins along one axis of the image.

    Attributes:
        indices: row or column of the image at each prepared pixel, int (H, W).
        ends: where the first and the last edge of the prepared image lie on the axis of the image, in pixels; None
            unless the axis is resized, cropped, padded or mirrored only.
    """

    indices: NDArray[np.intp]
    ends: tuple[float, float] | None


def fit_axis(origins: Floats, shown: NDArray[np.bool_], length: int) -> AxisFit:
    """Fit a straight line to measured origins, and use the measured origins themselves where none fits.

    A line that follows from whole numbers of pixels (resized to a whole size, then cropped or padded; or cropped and
    then resized) replaces the measured one, so that rounding of the measurement moves no pixel.

    Args:
        origins: measured rows or columns (H, W); the centre of the first pixel of the image is at 0.5.
        shown: which prepared pixels show the image, (H, W).
        length: height or width of the image.
    """
    height, width = origins.shape
    down, across = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    used = _inner(shown)
    line = np.stack([down[used], across[used], np.ones(int(used.sum()))], axis=1)
    (by_row, by_column, start), *_ = np.linalg.lstsq(line, origins[used], rcond=None)
    straight = by_row * down + by_column * across + start
    if np.abs(straight - origins)[used].max() > _STRAIGHT:
        return AxisFit(_indices(origins, length), None)
    if abs(by_row) * height < _FLAT:
        return _along(origins, used, across, width, length)
    if abs(by_column) * width < _FLAT:
        return _along(origins, used, down, height, length)
    return AxisFit(_indices(straight, length), None)


def _along(origins: Floats, used: NDArray[np.bool_], place: Floats, extent: int, length: int) -> AxisFit:
    """Fit the line over one axis of the prepared image, whose pixels lie at `place` (H, W) from 0 to `extent`."""
    slope, start = np.polyfit(place[used], origins[used], 1)
    first, last = _whole(float(slope), float(start), extent, length) or (start, start + slope * extent)
    exact = first + (last - first) * place / extent
    return AxisFit(_indices(exact, length), (float(first), float(last)))


def _whole(slope: float, start: float, extent: int, length: int) -> tuple[float, float] | None:
    """Return the ends of the nearest line that follows from whole numbers of pixels; None if no such line is near."""
    resized = round(length / abs(slope))
    if abs(length / abs(slope) - resized) < _WHOLE:
        step = length / resized * np.sign(slope)
        # The middle of the line is measured better than its ends.
        middle = start + slope * extent / 2
        offset = middle / step - extent / 2
        if abs(offset - round(offset)) < _WHOLE:
            return round(offset) * length * np.sign(slope) / resized, (round(offset) + extent) * step
    ends = start, start + slope * extent
    if all(abs(end - round(end)) < _WHOLE for end in ends):
        return round(ends[0]), round(ends[1])
    return None


def _inner(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out pixels near the edge of the image, where filters of a resize are cut off and origins are less exact."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    inner = np.zeros_like(shown)
    top, left = (found[0] + min(_EDGE, len(found) // 4) for found in (rows, columns))
    bottom, right = (found[-1] + 1 - min(_EDGE, len(found) // 4) for found in (rows, columns))
    inner[top:bottom, left:right] = shown[top:bottom, left:right]
    return inner if inner.any() else shown


def _indices(places: Floats, length: int) -> NDArray[np.intp]:
    # A place that should be a whole number may come out a little below it.
    return np.clip(np.floor(places + 1e-6), 0, length - 1).astype(np.intp)
