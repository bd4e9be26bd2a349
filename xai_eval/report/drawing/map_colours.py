"""The colours of maps over images, the same on the page, in thumbnails and in figure files.

The colour of a value gets its hue from a table of colours. Its lightness (CIE L*) is the mean of that of the table and
that of the pixel, always in the same parts. So it rises by the same amount with the value over every pixel, because it
rises evenly along the table.
"""

from __future__ import annotations

import functools
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from xai_eval.report.drawing.lab import lab_of, rgb_of

STEPS = 256  # values between 0 and 1 that have a colour of their own
# The part of the map: it takes 60 of 100 steps of lightness, and the image keeps 40, enough to be recognised.
_OF_MAP = 0.6
# The part of the table's colourfulness (a* and b*) that stays: more of it, screens cannot show at other lightnesses.
_COLOURFUL = 0.8
# From black through purple and orange to pale yellow; lightness rises evenly, and the colour-blind can read it.
_HEAT = "inferno"
# RGB of 0, of half and of the largest value: both sides are about equally light (L* 38 and 70), and the colour-blind
# can tell them apart.
_FOR = ((0.0, 0.0, 0.0), (0.72, 0.06, 0.08), (1.0, 0.52, 0.40))
_AGAINST = ((0.0, 0.0, 0.0), (0.03, 0.33, 0.72), (0.36, 0.71, 1.0))
_Floats = NDArray[np.float64]
_Rgb = NDArray[np.uint8]


def heat_colours(values: NDArray[Any], grey: NDArray[Any]) -> _Rgb:
    """Return the colours of values in [0, 1] over grey levels in [0, 255], both of shape (...): RGB (..., 3)."""
    return np.asarray(_heat_table()[_step(np.clip(values, 0.0, 1.0)), _level(grey)])


def signed_colours(values: NDArray[Any], grey: NDArray[Any]) -> _Rgb:
    """Return the colours of values in [-1, 1] over grey levels in [0, 255]: red above 0, blue below it, (..., 3).

    At 0 they are those of `heat_colours`: only the dimmed grey.
    """
    return np.asarray(_signed_table()[_step(np.clip(values, -1.0, 1.0)) + STEPS - 1, _level(grey)])


@functools.cache
def _heat_table() -> _Rgb:
    """Colours by step of the value and grey level, (256, 256, 3)."""
    lab = lab_of(np.asarray(matplotlib.colormaps[_HEAT](np.arange(STEPS))[:, :3]))
    # The first colour is almost black. Black itself leaves the grey of the image without a tint.
    lab[0] = 0.0
    return _mixed(lab)


@functools.cache
def _signed_table() -> _Rgb:
    """Colours by step of the value from -1 to 1 and grey level, (511, 256, 3)."""
    upwards = np.linspace(0.0, 1.0, STEPS)
    below, above = (
        np.stack([np.interp(upwards, (0.0, 0.5, 1.0), channel) for channel in lab_of(np.array(colours)).T], axis=1)
        for colours in (_AGAINST, _FOR)
    )
    return _mixed(np.concatenate([below[:0:-1], above]))


def _mixed(lab: _Floats) -> _Rgb:
    """Give each colour, L*a*b* (n, 3), its lightness over each of 256 grey levels: RGB (n, 256, 3)."""
    grey = lab_of(np.repeat(np.linspace(0.0, 1.0, 256)[:, None], 3, axis=1))
    mixed = np.broadcast_to(_COLOURFUL * lab[:, None], (len(lab), *grey.shape)).copy()
    mixed[..., 0] = _OF_MAP * lab[:, None, 0] + (1.0 - _OF_MAP) * grey[None, :, 0]
    return np.rint(255.0 * rgb_of(mixed)).astype(np.uint8)


def _step(values: NDArray[Any]) -> NDArray[np.intp]:
    return np.asarray(np.rint(values * (STEPS - 1.0)), dtype=np.intp)


def _level(grey: NDArray[Any]) -> NDArray[np.intp]:
    return np.asarray(np.rint(grey), dtype=np.intp)
