"""Paint the eight kinds of places: which backgrounds a scene label consists of, and where each of them lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from xai_eval.scenes.canvas import SIZE, Canvas
from xai_eval.scenes.dice import Dice
from xai_eval.scenes.polygons import Mask
from xai_eval.scenes.textures import texture
from xai_eval.scenes.value_noise import Field, ridge

_ROWS = (np.arange(SIZE) + 0.5)[:, None]
_COLUMNS = _ROWS.T
_MIDDLE = SIZE / 2


@dataclass(frozen=True)
class Layer:
    """One background.

    Attributes:
        concept: name of the background.
        mask: pixels that it covers; later layers may hide some of them, (SIZE, SIZE).
        marks: pixels of bright marks on it, such as foam or lines on a road, (SIZE, SIZE).
    """

    concept: str
    mask: Mask
    marks: Mask | None = None


def paint_landscape(canvas: Canvas, dice: Dice, scene: str) -> float:
    """Paint the whole canvas with the backgrounds of a scene label; return the row of the horizon, 0 without sky."""
    horizon = 0.0 if scene != "mountains" and dice.chance(0.15) else dice.between(0.26, 0.58) * SIZE
    canvas.paint("sky", np.full((SIZE, SIZE), True), texture(dice, "sky"))
    for layer in _PLACES[scene](dice, horizon):
        colours = texture(dice, layer.concept)
        if layer.marks is not None:
            colours = np.where(layer.marks, 0.25 * colours + 0.75 * 238.0, colours)
        canvas.paint(layer.concept, layer.mask, colours)
    return horizon


def _ground(dice: Dice, horizon: float, bumps: float) -> Mask:
    """Return the mask of everything below an uneven horizon; `bumps` is the range of its heights in pixels."""
    if horizon == 0:
        return np.full((SIZE, SIZE), True)
    edge = horizon + bumps * (ridge(dice, (32, 12, 4), SIZE) - 0.5)
    return np.asarray(edge <= _ROWS)


def _range_of_hills(dice: Dice, horizon: float) -> list[Layer]:
    peaks = ridge(dice, (30, 13, 5), SIZE)
    height = dice.between(0.75, 1.15) * horizon
    return [Layer("mountain", np.asarray(horizon - height * (peaks - 0.12) <= _ROWS))]


def _with_hills(dice: Dice, horizon: float, chance: float) -> list[Layer]:
    return _range_of_hills(dice, horizon) if horizon > 0 and dice.chance(chance) else []


def _meadow(dice: Dice, horizon: float) -> list[Layer]:
    return [Layer("grass", _ground(dice, horizon, 9))]


def _mountains(dice: Dice, horizon: float) -> list[Layer]:
    low = horizon + 0.1 * SIZE
    return [*_range_of_hills(dice, low), Layer("grass", _ground(dice, low, 8))]


def _winter(dice: Dice, horizon: float) -> list[Layer]:
    return [*_with_hills(dice, horizon, 0.4), Layer("snow", _ground(dice, horizon, 10))]


def _desert(dice: Dice, horizon: float) -> list[Layer]:
    return [*_with_hills(dice, horizon, 0.35), Layer("sand", _ground(dice, horizon, 14))]


def _ocean(dice: Dice, horizon: float) -> list[Layer]:
    return [Layer("sea", _ground(dice, horizon, 0))]


def _beach(dice: Dice, horizon: float) -> list[Layer]:
    shore = horizon + dice.between(0.3, 0.6) * (SIZE - horizon)
    tilt = dice.between(-0.3, 0.3)
    edge = shore + tilt * (_COLUMNS - _MIDDLE) + 10 * (ridge(dice, (36, 14), SIZE) - 0.5)
    foam = np.asarray((edge - 2.5 <= _ROWS) & (edge > _ROWS))
    return [Layer("sea", _ground(dice, horizon, 0), foam), Layer("sand", np.asarray(edge <= _ROWS))]


def _riverside(dice: Dice, horizon: float) -> list[Layer]:
    bank = Layer(dice.pick(("grass", "grass", "sand")), _ground(dice, horizon, 6))
    if dice.chance(0.4):
        middle = horizon + dice.between(0.4, 0.75) * (SIZE - horizon)
        half = dice.between(7, 13)
        tilt = dice.between(-0.15, 0.15)
        line = middle + 18 * (ridge(dice, (40, 16), SIZE) - 0.5) + tilt * (_COLUMNS - _MIDDLE)
        return [bank, Layer("river", np.asarray((abs(_ROWS - line) <= half) & bank.mask))]
    bends = ridge(dice, (38, 18), SIZE)[:, None] - 0.5
    line = dice.between(0.3, 0.7) * SIZE + 60 * bends
    return [bank, Layer("river", _towards_us(dice, horizon, line, (2, 4), (13, 20)) & bank.mask)]


def _street(dice: Dice, horizon: float) -> list[Layer]:
    verge = Layer(dice.pick(("grass", "sand", "snow")), _ground(dice, horizon, 5))
    if dice.chance(0.4):
        middle, half = horizon + dice.between(0.5, 0.75) * (SIZE - horizon), dice.between(9, 14)
        across = _ROWS - middle - dice.between(-0.12, 0.12) * (_COLUMNS - _MIDDLE)
        dashes = (abs(across) <= 1.0) & ((_COLUMNS + dice.between(0, 14)) % 14 < 8)
        return [verge, Layer("road", np.asarray(abs(across) <= half), np.asarray(dashes))]
    line = np.asarray(dice.between(0.25, 0.75) * SIZE + dice.between(-0.4, 0.4) * (_ROWS - SIZE))
    road = _towards_us(dice, horizon, line, (2, 3), (24, 36))
    width, shift = 0.4 + 1.4 * _nearness(horizon), dice.between(0, 15)
    dashes = (abs(_COLUMNS - line) <= width) & ((_ROWS + shift) % 15 < 9)
    return [verge, Layer("road", road & verge.mask, np.asarray(dashes))]


def _nearness(horizon: float) -> Field:
    """Return for each row how near it is: 0 at the horizon, 1 at the lower edge of the image, (SIZE, 1)."""
    return np.asarray((_ROWS - horizon) / (SIZE - horizon))


def _towards_us(dice: Dice, horizon: float, line: Field, far: tuple[float, float], near: tuple[float, float]) -> Mask:
    """Return the mask of a band that widens from the horizon to the lower edge.

    Args:
        dice: source of the random choices.
        horizon: row of the horizon.
        line: column of the middle of the band in each row, (rows, 1).
        far: range of half the width at the horizon, in pixels.
        near: range of half the width at the lower edge, in pixels.
    """
    narrow, wide = dice.between(*far), dice.between(*near)
    half = narrow + (wide - narrow) * _nearness(horizon)
    return np.asarray((abs(_COLUMNS - line) <= half) & (horizon <= _ROWS))


_PLACES: Mapping[str, Callable[[Dice, float], list[Layer]]] = {
    "beach": _beach,
    "desert": _desert,
    "meadow": _meadow,
    "mountains": _mountains,
    "ocean": _ocean,
    "riverside": _riverside,
    "street": _street,
    "winter": _winter,
}
