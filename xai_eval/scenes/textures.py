"""The textures of the eight backgrounds: two colours mixed by noise whose cells are typical of the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xai_eval.scenes.canvas import SIZE, Colours
from xai_eval.scenes.dice import Dice
from xai_eval.scenes.value_noise import Cell, value_noise

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Texture:
    """Two colours mixed by noise.

    Attributes:
        pairs: pairs of RGB colours to mix, of which one is chosen at random.
        cells: octaves of the noise, as in `value_noise`.
        contrast: factor of the noise; the higher, the more pixels have one of the two colours unmixed.
        slope: by how much the share of the second colour grows from top to bottom.
    """

    pairs: tuple[tuple[Colour, Colour], ...]
    cells: tuple[Cell, ...]
    contrast: float
    slope: float = 0.0


_DOWN = (np.arange(SIZE) + 0.5)[:, None] / SIZE - 0.5

TEXTURES: Mapping[str, Texture] = {
    "sky": Texture(
        (
            ((84, 148, 214), (240, 246, 250)),
            ((104, 160, 196), (250, 240, 226)),
            ((150, 172, 196), (228, 230, 234)),
            ((118, 130, 190), (252, 208, 168)),
            ((62, 110, 176), (206, 226, 244)),
        ),
        ((14, 40), (7, 18), (3, 8)),
        1.9,
        0.7,
    ),
    "river": Texture(
        (
            ((46, 112, 140), (134, 196, 208)),
            ((60, 104, 104), (142, 186, 170)),
            ((58, 98, 152), (150, 190, 220)),
        ),
        ((24, 12), (2, 14), (1, 6)),
        1.3,
    ),
    "grass": Texture(
        (
            ((62, 112, 44), (150, 190, 84)),
            ((84, 120, 50), (184, 196, 104)),
            ((44, 98, 58), (124, 174, 96)),
        ),
        ((20, 26), (5, 2), (2, 1)),
        1.2,
        0.1,
    ),
    "road": Texture(
        (
            ((72, 74, 80), (124, 124, 128)),
            ((92, 86, 82), (148, 140, 132)),
            ((58, 62, 74), (106, 112, 122)),
        ),
        ((30, 30), (2, 2), (1, 1)),
        0.9,
    ),
    "sand": Texture(
        (
            ((206, 172, 116), (244, 222, 172)),
            ((196, 150, 104), (236, 200, 150)),
            ((214, 192, 150), (250, 236, 204)),
        ),
        ((10, 40), (3, 12), (1, 2)),
        1.2,
    ),
    "sea": Texture(
        (
            ((22, 78, 128), (92, 164, 200)),
            ((18, 96, 116), (104, 190, 190)),
            ((40, 70, 110), (120, 150, 180)),
        ),
        ((26, 40), (3, 11), (1, 5)),
        1.5,
        0.5,
    ),
    "mountain": Texture(
        (
            ((84, 82, 96), (160, 156, 164)),
            ((98, 80, 70), (172, 150, 132)),
            ((72, 88, 104), (150, 164, 178)),
        ),
        ((16, 10), (8, 5), (4, 3), (2, 2)),
        1.8,
        -0.4,
    ),
    "snow": Texture(
        (
            ((184, 204, 228), (252, 254, 255)),
            ((196, 200, 222), (255, 252, 250)),
            ((170, 198, 218), (244, 250, 252)),
        ),
        ((18, 34), (6, 14), (1, 1)),
        1.4,
    ),
}


def texture(dice: Dice, concept: str) -> Colours:
    """Return the texture of a background for the whole canvas, (3, SIZE, SIZE), in [0, 255]."""
    recipe = TEXTURES[concept]
    first, second = (_varied(dice, colour) for colour in dice.pick(recipe.pairs))
    noise = value_noise(dice, recipe.cells, SIZE)
    share = np.clip(0.5 + (noise - 0.5) * recipe.contrast + _DOWN * recipe.slope, 0.0, 1.0)
    return np.stack([a + (b - a) * share for a, b in zip(first, second, strict=True)])


def _varied(dice: Dice, colour: Colour) -> tuple[float, ...]:
    return tuple(min(255.0, max(0.0, channel + dice.between(-14, 14))) for channel in colour)
