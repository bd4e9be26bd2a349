"""A shape turned into coloured pixels: its pose, its colours, its shading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.inputs.scenes.canvas import Colours
from xai_eval.inputs.scenes.dice import Dice
from xai_eval.inputs.scenes.polygons import Mask, Points, fill, unit_direction
from xai_eval.inputs.scenes.silhouettes import ACCENT, BODY, DARK, LIGHT, TRIM, Shape

_PALETTE = (
    *((206, 54, 48), (232, 122, 40), (240, 190, 52), (124, 178, 62), (44, 128, 86), (38, 154, 160)),
    *((56, 118, 200), (52, 66, 140), (122, 78, 168), (206, 92, 150), (138, 88, 56), (236, 228, 210)),
    *((176, 180, 186), (98, 104, 114), (240, 150, 130), (164, 206, 226)),
)
_CANDIDATES = 3
_EDGE_SHADE = 0.62


@dataclass(frozen=True)
class Sprite:
    """The pixels (h, w) that an object covers and their colours (h, w, 3), before it has a place."""

    mask: Mask
    colours: Colours


def roll_sprite(dice: Dice, shape: Shape, extent: float, backdrop: NDArray[np.float64]) -> Sprite:
    """Draw pose, colours and shading of a shape.

    Args:
        dice: source of every choice.
        shape: what to draw.
        extent: longer side of the result in pixels.
        backdrop: colour (3,) behind the object; its main colour is chosen apart from it.
    """
    roles = _rasterise(shape, _posed(dice, shape, extent))
    mask = roles > 0
    colours = _role_colours(dice, backdrop)[roles] * _shading(dice, roles)[:, :, None]
    colours[mask & ~_inner(mask)] *= _EDGE_SHADE
    return Sprite(mask, np.clip(colours, 0.0, 255.0))


def _posed(dice: Dice, shape: Shape, extent: float) -> list[Points]:
    """Outlines of the parts in pixels: bent, stretched, mirrored, turned, scaled to `extent`, moved to (0, 0)."""
    corners = np.array([point for part in shape.parts for point in part.outline])
    tilt = 0.07 if shape.stands else 0.14
    cosine, sine = unit_direction(dice.between(-tilt, tilt))
    stretch, bend = dice.between(0.86, 1.16), dice.between(-0.1, 0.1)
    flip = 1.0 if dice.chance(0.5) else -1.0
    y = corners[:, 1]
    x = flip * stretch * corners[:, 0] + bend * y * y
    turned = np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=1)
    low = turned.min(axis=0)
    pixels = (turned - low) * (extent / (turned.max(axis=0) - low).max())
    ends = np.cumsum([len(part.outline) for part in shape.parts])
    return [np.asarray(outline) for outline in np.split(pixels, ends[:-1])]


def _rasterise(shape: Shape, outlines: list[Points]) -> NDArray[np.uint8]:
    """Role (h, w) of every pixel, 0 outside, cropped to the pixels that are covered."""
    columns, rows = (int(v) + 1 for v in np.max([o.max(axis=0) for o in outlines], axis=0))
    roles = np.zeros((rows, columns), dtype=np.uint8)
    for part, outline in zip(shape.parts, outlines, strict=True):
        left, top = (int(v) for v in outline.min(axis=0))
        right, bottom = (int(v) + 1 for v in outline.max(axis=0))
        inside = fill(outline - (left, top), bottom - top, right - left)
        roles[top:bottom, left:right][inside] = part.role
    return roles


def _role_colours(dice: Dice, backdrop: NDArray[np.float64]) -> Colours:
    """Colours (roles, 3); the body's differs most from the backdrop among a few candidates."""
    candidates = dice.sample(_PALETTE, _CANDIDATES + 2)
    candidates[:_CANDIDATES] = sorted(candidates[:_CANDIDATES], key=lambda c: -_distance(c, backdrop))
    dark, light = dice.between(24, 62), dice.between(214, 250)
    table = np.zeros((6, 3))
    table[BODY], table[TRIM], table[ACCENT] = candidates[0], candidates[_CANDIDATES], candidates[_CANDIDATES + 1]
    table[DARK] = dark, dark, dark + dice.between(0, 14)
    table[LIGHT] = light, light, light - dice.between(-5, 24)
    return table


def _distance(colour: tuple[int, int, int], other: NDArray[np.float64]) -> float:
    return sum(abs(a - float(b)) for a, b in zip(colour, other, strict=True))


def _shading(dice: Dice, roles: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Brightness (h, w): light from one side, a fine grain, and often stripes."""
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
    """Pixels whose four neighbours also belong to the mask."""
    inner = np.zeros_like(mask)
    centre = mask[1:-1, 1:-1]
    inner[1:-1, 1:-1] = centre & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner
