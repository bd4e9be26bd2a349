"""Turn a shape into pixels: first its pose, and, once it has been placed in the image, its colours and shading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xai_eval.scenes.canvas import Colours
from xai_eval.scenes.dice import Dice
from xai_eval.scenes.polygons import Mask, Points, unit_direction
from xai_eval.scenes.silhouettes import ACCENT, BODY, DARK, LIGHT, TRIM, Roles, Shape

_PALETTE = (
    *((206, 54, 48), (232, 122, 40), (240, 190, 52), (124, 178, 62), (44, 128, 86), (38, 154, 160)),
    *((56, 118, 200), (52, 66, 140), (122, 78, 168), (206, 92, 150), (138, 88, 56), (236, 228, 210)),
    *((176, 180, 186), (98, 104, 114), (240, 150, 130), (164, 206, 226)),
)
_CANDIDATES = 3
_EDGE_SHADE = 0.62


def pose(dice: Dice, shape: Shape, extent: float) -> Roles:
    """Bend, stretch, mirror, turn and scale a shape at random.

    Args:
        dice: source of the random choices.
        shape: the shape.
        extent: length of the longer side of the result, in pixels.

    Returns:
        The role of every pixel, 0 outside the object, (h, w).
    """
    corners = _posed(dice, shape, extent)
    columns, rows = (int(v) + 1 for v in corners.max(axis=0))
    inside = shape.figure.moved_to(corners).fill(rows, columns)
    order = np.arange(1, len(inside) + 1, dtype=np.uint8)[:, None, None]
    return np.asarray(shape.roles[(inside * order).max(axis=0)])


def dress(dice: Dice, roles: Roles, backdrop: Sequence[float]) -> Colours:
    """Choose colours (3, h, w) in [0, 255] for a posed object; its main colour differs from that behind it.

    Args:
        dice: source of the random choices.
        roles: role of every pixel, (h, w).
        backdrop: mean colour of the image behind the object, RGB.
    """
    mask = roles > 0
    colours = _role_colours(dice, backdrop)[:, roles] * _shading(dice, roles)
    colours[:, mask & ~_inner(mask)] *= _EDGE_SHADE
    return np.asarray(np.clip(colours, 0.0, 255.0))


def _posed(dice: Dice, shape: Shape, extent: float) -> Points:
    """Return the corners (E, 2) of a posed shape in pixels; its bounding box starts at (0, 0)."""
    tilt = 0.07 if shape.stands else 0.14
    cosine, sine = unit_direction(dice.between(-tilt, tilt))
    stretch, bend = dice.between(0.86, 1.16), dice.between(-0.1, 0.1)
    flip = 1.0 if dice.chance(0.5) else -1.0
    y = shape.figure.corners[:, 1]
    x = flip * stretch * shape.figure.corners[:, 0] + bend * y * y
    turned = np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=1)
    low, high = turned.min(axis=0), turned.max(axis=0)
    return np.asarray((turned - low) * (extent / (high - low).max()))


def _role_colours(dice: Dice, backdrop: Sequence[float]) -> Colours:
    """Return a colour per role, (3, roles); that of the body is the candidate that differs most from the backdrop."""
    candidates = dice.sample(_PALETTE, _CANDIDATES + 2)
    candidates[:_CANDIDATES] = sorted(candidates[:_CANDIDATES], key=lambda c: -_distance(c, backdrop))
    dark, light = dice.between(24, 62), dice.between(214, 250)
    table = np.zeros((6, 3))
    table[BODY], table[TRIM], table[ACCENT] = candidates[0], *candidates[_CANDIDATES:]
    table[DARK] = dark, dark, dark + dice.between(0, 14)
    table[LIGHT] = light, light, light - dice.between(-5, 24)
    return table.T


def _distance(colour: tuple[int, int, int], other: Sequence[float]) -> float:
    red, green, blue = (abs(a - b) for a, b in zip(colour, other, strict=True))
    return red + green + blue  # not sum(), whose rounding differs between Python 3.11 and 3.12


def _shading(dice: Dice, roles: Roles) -> NDArray[np.float64]:
    """Return the brightness (h, w) of an object: light from one side, a fine grain, and often stripes."""
    rows, columns = roles.shape
    down = (np.arange(rows) / rows - 0.5)[:, None]
    right = (np.arange(columns) / columns - 0.5)[None, :]
    shade = 1.0 - dice.between(0.05, 0.35) * down + dice.between(-0.22, 0.22) * right
    shade = shade + dice.between(0.03, 0.16) * (dice.grid(rows, columns) - 0.5)
    if dice.chance(0.4):
        period, slant = dice.between(4.0, 9.0), dice.between(-1.5, 1.5)
        wave = (np.arange(rows)[:, None] + slant * np.arange(columns)) % period < period / 2
        shade = shade * np.where(wave & (roles == BODY), dice.between(0.7, 0.88), 1.0)
    return np.asarray(shade)


def _inner(mask: Mask) -> Mask:
    """Return the pixels of a mask whose four neighbours also belong to it."""
    inner = np.zeros_like(mask)
    centre = mask[1:-1, 1:-1]
    inner[1:-1, 1:-1] = centre & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner
