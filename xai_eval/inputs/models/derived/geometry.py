"""Measure where each pixel of a prepared image comes from in the original image.

Waves of grey levels are sent through the preprocessing. As in structured light, the phase of a wave at a pixel tells
its origin to a fraction of a pixel, and resizing does not change the phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.inputs.models.derived.axis_fit import AxisFit, fit_axis
from xai_eval.inputs.models.derived.called import NotDerived, Prepare
from xai_eval.inputs.models.derived.values import Floats, Values

_SHORTEST_WAVE = 32.0
# A plain ramp over the image tells which period of the wave a pixel is in. It has 255 steps, so a period must be much
# longer than a step.
_PERIODS = 16
_SAME_LEVEL = 3.0
# A pattern that the measured origins carry may differ by this many grey levels from what the preprocessing gives.
_PROOF = 8.0


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the pixels of a prepared image come from, for images of one size.

    Attributes:
        size: height and width of the images, in pixels.
        rows: row of the image at each prepared pixel, int (H, W).
        columns: column of the image at each prepared pixel, int (H, W).
        shown: whether the pixel shows the image, bool (H, W); false in a border that was added.
        box: left, top, right and bottom of the part that is shown, in pixels of the image; None if the part is not
            a rectangle with sides along those of the image.
    """

    size: tuple[int, int]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    shown: NDArray[np.bool_]
    box: tuple[float, float, float, float] | None

    def carry(self, mask: NDArray[Any]) -> NDArray[Any]:
        """Carry an array of the image's size to the prepared image, by nearest neighbour; 0 in an added border."""
        return np.where(self.shown, mask[self.rows, self.columns], np.zeros((), dtype=mask.dtype))

    def describe(self) -> dict[str, Any]:
        """Return the size of the image, that of the prepared one, and the part that is shown."""
        box = "not a rectangle" if self.box is None else [round(side, 2) + 0.0 for side in self.box]
        return {"from": list(self.size), "to": list(self.shown.shape), "box": box}


def measure_geometry(prepare: Prepare, values: Values, size: tuple[int, int]) -> Geometry:
    """Measure where the pixels of a prepared image come from.

    Args:
        prepare: the preprocessing.
        values: what it does to colours.
        size: height and width of the images.

    Raises:
        NotDerived: the origins cannot be told, or the values differ between sizes.
    """
    read = _Reader(prepare, values, size)
    shown = read.shown
    down, across = (fit_axis(read.origins(axis), shown, size[axis]) for axis in (0, 1))
    found = Geometry(size, down.indices, across.indices, shown, _box(down, across))
    _prove(read, found)
    return found


class _Reader:
    """Reads grey levels of prepared test images of one size.

    Attributes:
        shown: whether a prepared pixel shows the image, bool (H, W).
    """

    def __init__(self, prepare: Prepare, values: Values, size: tuple[int, int]) -> None:
        self._prepare, self._values, self._size = prepare, values, size
        self._black = self._brightness(np.zeros(size))
        self._range = self._brightness(np.full(size, 255.0)) - self._black
        self.shown: NDArray[np.bool_] = self._range > 127.5
        typical = float(np.median(self._range[self.shown])) if self.shown.any() else 0.0
        if abs(typical - 255.0) > _SAME_LEVEL:
            raise NotDerived(f"an image of {size[1]} x {size[0]} px gets other values than one of 256 x 256 px")

    def levels(self, pattern: Floats) -> Floats:
        """Return the grey levels, 0 to 255, that a pattern (h, w) has after the preprocessing, (H, W)."""
        share = (self._brightness(pattern) - self._black) / np.where(self.shown, self._range, 255.0)
        return np.asarray(share * 255.0)

    def origins(self, axis: int) -> Floats:
        """Return the row (axis 0) or column (axis 1) that each prepared pixel comes from, (H, W).

        The centre of the first pixel is at 0.5.
        """
        length = self._size[axis]
        period = max(_SHORTEST_WAVE, length / _PERIODS)
        place = np.arange(length) + 0.5
        angle = 2 * np.pi * place / period
        ramp, cosine, sine = (
            self.levels(self._along(axis, profile))
            for profile in (255.0 * place / length, 127.5 + 127.5 * np.cos(angle), 127.5 + 127.5 * np.sin(angle))
        )
        rough = ramp * length / 255.0
        fine = np.arctan2(sine - 127.5, cosine - 127.5) / (2 * np.pi) * period
        return np.asarray(fine + np.round((rough - fine) / period) * period)

    def _along(self, axis: int, profile: Floats) -> Floats:
        return np.broadcast_to(profile[:, None] if axis == 0 else profile[None, :], self._size)

    def _brightness(self, pattern: Floats) -> Floats:
        grey = np.round(pattern).astype(np.uint8)
        return self._values.brightness(self._prepare(Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))))


def _box(down: AxisFit, across: AxisFit) -> tuple[float, float, float, float] | None:
    if down.ends is None or across.ends is None:
        return None
    (top, bottom), (left, right) = down.ends, across.ends
    return left, top, right, bottom


def _prove(read: _Reader, found: Geometry) -> None:
    """Check that a pattern carried by the measured origins looks like what the preprocessing makes of it."""
    height, width = found.size
    rows, columns = np.arange(height)[:, None] / height, np.arange(width)[None, :] / width
    pattern = 127.5 + 60.0 * np.cos(3 * rows + 2 * columns) + 60.0 * np.sin(4 * columns - rows)
    off = np.abs(read.levels(pattern) - found.carry(pattern))[found.shown]
    if float(np.quantile(off, 0.95)) > _PROOF:
        raise NotDerived("the place of a pixel in the image cannot be found")
