"""Choose and place what stands in a scene: the main object, smaller objects of other classes, and clutter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xai_eval.scenes.canvas import SIZE, Canvas, Window
from xai_eval.scenes.concepts import OBJECTS
from xai_eval.scenes.dice import Dice
from xai_eval.scenes.polygons import Figure, Mask, box, ellipse
from xai_eval.scenes.silhouettes import BODY, SHAPES, Roles, shape
from xai_eval.scenes.sprites import dress, pose

MAIN_EXTENT = (28.0, 48.0)
MINOR_EXTENT = (10.0, 16.0)
# Largest extent of a smaller object as a share of that of the main object, so that it is clear which one is the main
# one.
LARGEST_MINOR = 0.42
# Largest share of the main object that a smaller object in front of it may hide.
MOST_HIDDEN = 0.08
_TRIES = 4
_ROUND = ellipse(0, 0, 1, 0.8)


@dataclass(frozen=True)
class Thing:
    """A posed object.

    Attributes:
        concept: what it is; None for clutter.
        roles: role of every pixel, 0 outside the object, (h, w).
        stands: whether it stands on the ground.
    """

    concept: str | None
    roles: Roles
    stands: bool

    @property
    def mask(self) -> Mask:
        """The mask of its pixels, (h, w)."""
        return np.asarray(self.roles > 0)


@dataclass(frozen=True)
class Placed:
    """A posed object and its place.

    Attributes:
        thing: the object.
        window: rows and columns of the canvas that it covers.
    """

    thing: Thing
    window: Window

    def on_canvas(self) -> Mask:
        """Return the mask (SIZE, SIZE) of all pixels that the object covers, even if others hide them later."""
        mask = np.zeros((SIZE, SIZE), dtype=bool)
        mask[self.window] = self.thing.mask
        return mask


def stage(dice: Dice, main_object: str, horizon: float) -> list[Placed]:
    """Choose and place everything in the landscape; return it in the order in which it is to be painted."""
    debris = [_debris(dice, horizon) for _ in range(2 + dice.below(4))]
    extent = dice.between(*MAIN_EXTENT)
    main = _place(dice, _unplaced(dice, main_object, extent), horizon)
    behind: list[Placed] = []
    before: list[Placed] = []
    for name in dice.sample([name for name in OBJECTS if name != main_object], 1 + dice.below(3)):
        minor, hidden = _place_minor(dice, name, extent, horizon, main.on_canvas())
        in_front = hidden <= MOST_HIDDEN and dice.chance(0.5)
        (before if in_front else behind).append(minor)
    return [*debris, *behind, main, *before]


def paint(canvas: Canvas, dice: Dice, placed: Placed) -> None:
    """Paint one object over what is there, with a shadow at its foot."""
    thing = placed.thing
    if thing.stands:
        _shadow(canvas, placed.window)
    colours = dress(dice, thing.roles, _backdrop(canvas, placed.window))
    canvas.paint(thing.concept, thing.mask, colours, placed.window)


def _place_minor(dice: Dice, name: str, main_extent: float, horizon: float, main: Mask) -> tuple[Placed, float]:
    """Place a smaller object where it hides little of the main one; return it and the share that it would hide."""
    extent = min(dice.between(*MINOR_EXTENT), LARGEST_MINOR * main_extent)
    minor = _unplaced(dice, name, extent)
    tries = [_place(dice, minor, horizon) for _ in range(1 + dice.below(_TRIES))]
    overlaps = [np.count_nonzero(main[t.window] & minor.mask) for t in tries]
    least = min(range(len(tries)), key=overlaps.__getitem__)
    return tries[least], int(overlaps[least]) / int(np.count_nonzero(main))


def _unplaced(dice: Dice, name: str, extent: float) -> Thing:
    chosen = dice.pick(SHAPES[name])
    return Thing(name, pose(dice, chosen, extent), chosen.stands)


def _debris(dice: Dice, horizon: float) -> Placed:
    """Place a stone, a blob or a board: clutter with colours and shading like those of objects."""
    if dice.chance(0.3):
        outline = box(-1.0, -dice.between(0.15, 0.5), 1.0, dice.between(0.0, 0.3))
    else:
        radii = [dice.between(0.55, 1.0) for _ in _ROUND]
        outline = tuple((x * r, y * r) for (x, y), r in zip(_ROUND, radii, strict=True))
    piece = shape((BODY, outline), stands=dice.chance(0.7))
    return _place(dice, Thing(None, pose(dice, piece, dice.between(5, 18)), piece.stands), horizon)


def _place(dice: Dice, thing: Thing, horizon: float) -> Placed:
    """Choose a place entirely inside the image; an object that stands has its foot below the horizon."""
    height, width = thing.roles.shape
    left = dice.below(SIZE - width + 1)
    highest = max(0, int(horizon) + 3 - height) if thing.stands else 0
    top = highest + dice.below(SIZE - height - highest + 1)
    return Placed(thing, (slice(top, top + height), slice(left, left + width)))


def _shadow(canvas: Canvas, window: Window) -> None:
    rows, columns = window
    width = columns.stop - columns.start
    half = 1.0 + width / 16
    top, bottom = max(0, rows.stop - int(half) - 1), min(SIZE, rows.stop + int(half))
    outline = Figure.of([ellipse(width / 2, rows.stop - 0.5 - top, 0.55 * width, half)])
    canvas.shade(outline.fill(bottom - top, width)[0], 0.66, (slice(top, bottom), columns))


def _backdrop(canvas: Canvas, window: Window) -> list[float]:
    """Return the mean colour of four pixels under an object; a fixed order of adding fixes the rounding."""
    rows, columns = (_quarters(side) for side in window)
    a, b, c, d = (canvas.colours[:, i, j].tolist() for i in rows for j in columns)
    return [(p + q + r + s) / 4 for p, q, r, s in zip(a, b, c, d, strict=True)]


def _quarters(side: slice) -> tuple[int, int]:
    quarter = (side.stop - side.start) // 4
    return side.start + quarter, side.stop - 1 - quarter
