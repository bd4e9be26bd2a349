"""Render a procedural scene: its image, its labels, and the exact mask of everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.scenes.canvas import SIZE, Canvas
from xai_eval.scenes.concepts import OBJECTS, SCENE_LABELS
from xai_eval.scenes.dice import Dice
from xai_eval.scenes.landscapes import paint_landscape
from xai_eval.scenes.polygons import Mask
from xai_eval.scenes.staging import paint, stage

_LAST_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered scene.

    Attributes:
        seed: the seed that it was rendered from.
        pixels: uint8 (96, 96, 3), RGB.
        masks: for every visible concept, where it is visible, bool (96, 96). No pixel belongs to two concepts. Stones,
            boards and other clutter belong to none. A shadow belongs to what it falls on; details such as window panes
            belong to their object.
        main_object: the largest object, one of `OBJECTS`.
        scene: the kind of place, one of `SCENE_LABELS`.
    """

    seed: int
    pixels: NDArray[np.uint8]
    masks: Mapping[str, Mask]
    main_object: str
    scene: str


def labels(seed: int) -> tuple[str, str]:
    """Return the main object and the scene label of a seed, without rendering it.

    Any 96 consecutive seeds have every pair of the two exactly once, so neither can be predicted from the other.
    """
    objects, places = len(OBJECTS), len(SCENE_LABELS)
    return OBJECTS[seed % objects], SCENE_LABELS[(seed + seed // objects) % places]


def render(seed: int) -> Scene:
    """Render the scene of a seed. It has the same bytes on every machine, with every version of numpy from 1.26 on.

    Raises:
        UsageError: the seed is not from 0 to 2**32 - 1.
    """
    if not 0 <= seed <= _LAST_SEED:
        raise UsageError(f"scene seed {seed}: expected a whole number from 0 to {_LAST_SEED}. Choose one of these.")
    main_object, scene = labels(seed)
    dice, canvas = Dice(seed), Canvas()
    horizon = paint_landscape(canvas, dice, scene)
    for placed in stage(dice, main_object, horizon):
        paint(canvas, dice, placed)
    return Scene(seed, _lit(canvas, dice), canvas.masks(), main_object, scene)


def _lit(canvas: Canvas, dice: Dice) -> NDArray[np.uint8]:
    """Light the finished image: vary tint and brightness, darken it towards one side, and add grain."""
    brightness = dice.between(0.72, 1.12)
    tint = [brightness * dice.between(0.93, 1.07) for _ in range(3)]
    place = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    fall_off = 1.0 + dice.between(-0.25, 0.25) * place[:, None] + dice.between(-0.25, 0.25) * place
    lit = canvas.colours * fall_off * np.array(tint)[:, None, None]
    lit += (dice.grid(SIZE, SIZE) - 0.5) * dice.between(3, 15)
    pixels = np.clip(lit, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
