"""The shapes of the twelve objects, drawn in the square from (-1, -1) to (1, 1), with x to the right and y downwards.

A shape has no colours. Each part has a role, such as body or trim, and the colours of the roles are drawn at random for
every object. So only its shape tells what an object is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.scenes.polygons import Figure, Outline, box, dome, ellipse, mirrored

Roles = NDArray[np.uint8]

BODY, TRIM, ACCENT, DARK, LIGHT = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Shape:
    """P outlines, painted one over the other in their order.

    Attributes:
        figure: the outlines.
        roles: 0 for what is outside all outlines, then the role of each outline, which decides its colour, (P + 1,).
        stands: whether the object stands on the ground; others may fly.
    """

    figure: Figure
    roles: Roles
    stands: bool


def shape(*parts: tuple[int, Outline], stands: bool = True) -> Shape:
    """Build a shape from parts, each a role and an outline."""
    roles = np.array([0, *(role for role, _ in parts)], dtype=np.uint8)
    return Shape(Figure.of([outline for _, outline in parts]), roles, stands)


_STRIPE = ((0.0, -0.98), (0.26, -0.72), (0.34, -0.3), (0.24, 0.2), (0.1, 0.6))
_BALLOON = shape(
    (BODY, ((-0.2, 0.6), (-0.55, 0.15), (-0.7, -0.3), *dome(0, -0.3, 0.7, 0.68), (0.55, 0.15), (0.2, 0.6))),
    (TRIM, (*_STRIPE, *mirrored(_STRIPE)[:0:-1])),
    (DARK, ((-0.2, 0.58), (-0.12, 0.58), (-0.08, 0.82), (-0.16, 0.82))),
    (DARK, ((0.2, 0.58), (0.12, 0.58), (0.08, 0.82), (0.16, 0.82))),
    (ACCENT, ((-0.2, 0.76), (0.2, 0.76), (0.16, 1.0), (-0.16, 1.0))),
    stands=False,
)
_BIRD = shape(
    (DARK, box(-0.06, 0.3, 0.0, 0.72)),
    (DARK, box(0.14, 0.3, 0.2, 0.72)),
    (TRIM, ((-0.35, 0.0), (-1.0, -0.18), (-0.92, 0.02), (-1.0, 0.16), (-0.35, 0.25))),
    (BODY, ellipse(0.03, 0.1, 0.56, 0.3)),
    (BODY, ellipse(0.52, -0.2, 0.24, 0.24)),
    (ACCENT, ((0.7, -0.32), (1.02, -0.16), (0.7, -0.06))),
    (TRIM, ((0.3, 0.02), (0.16, -0.5), (-0.16, -0.86), (-0.58, -0.8), (-0.42, -0.4), (-0.3, 0.12))),
    (LIGHT, ellipse(0.58, -0.25, 0.09, 0.09)),
    (DARK, ellipse(0.6, -0.25, 0.05, 0.05)),
    stands=False,
)
_BOAT = shape(
    (DARK, box(-0.05, -1.0, 0.05, 0.5)),
    (TRIM, ((0.1, -0.94), (0.42, -0.4), (0.82, 0.3), (0.1, 0.3))),
    (LIGHT, ((-0.1, -0.74), (-0.1, 0.3), (-0.66, 0.3))),
    (BODY, ((-1.0, 0.42), (1.0, 0.42), (0.84, 0.7), (0.62, 0.88), (-0.58, 0.88), (-0.82, 0.7))),
    (ACCENT, ((-0.97, 0.48), (0.97, 0.48), (0.92, 0.58), (-0.91, 0.58))),
)
_CAR_BODY = (
    *(
        (-0.98, 0.3),
        (-1.0, 0.06),
        (-0.92, -0.1),
        (-0.62, -0.15),
        (-0.42, -0.46),
        (-0.3, -0.53),
        (0.24, -0.53),
    ),
    *((0.36, -0.46), (0.6, -0.13), (0.9, -0.06), (1.0, 0.1), (1.0, 0.3)),
)
_CAR = shape(
    (BODY, _CAR_BODY),
    (LIGHT, ((-0.48, -0.12), (-0.32, -0.42), (-0.08, -0.42), (-0.08, -0.12))),
    (LIGHT, ((0.02, -0.12), (0.02, -0.42), (0.24, -0.42), (0.44, -0.12))),
    (TRIM, box(-0.98, 0.1, 0.99, 0.17)),
    (ACCENT, ellipse(0.92, 0.04, 0.08, 0.07)),
    (DARK, ellipse(-0.54, 0.3, 0.25, 0.25)),
    (DARK, ellipse(0.54, 0.3, 0.25, 0.25)),
    (LIGHT, ellipse(-0.54, 0.3, 0.11, 0.11)),
    (LIGHT, ellipse(0.54, 0.3, 0.11, 0.11)),
)
_FISH_BODY = (
    *((-0.7, 0.08), (-0.7, -0.08), (-0.4, -0.26), *dome(0.25, -0.06, 0.7, 0.38)[2:], (0.96, 0.02)),
    *((0.8, 0.2), (0.5, 0.36), (0.1, 0.4), (-0.35, 0.28)),
)
_FISH = shape(
    (TRIM, ((-0.45, 0.0), (-1.0, -0.48), (-0.84, 0.0), (-1.0, 0.48))),
    (TRIM, ((-0.25, -0.3), (0.0, -0.7), (0.34, -0.62), (0.42, -0.3))),
    (TRIM, ((-0.1, 0.32), (-0.05, 0.62), (0.24, 0.32))),
    (BODY, _FISH_BODY),
    (ACCENT, ((0.16, -0.42), (0.3, -0.42), (0.34, 0.0), (0.26, 0.38), (0.12, 0.38), (0.2, 0.0))),
    (ACCENT, ((-0.2, -0.34), (-0.1, -0.37), (-0.05, 0.0), (-0.1, 0.35), (-0.2, 0.32), (-0.15, 0.0))),
    (LIGHT, ellipse(0.6, -0.12, 0.13, 0.13)),
    (DARK, ellipse(0.63, -0.12, 0.07, 0.07)),
    stands=False,
)
_PETALS = ((0.4, 0.0), (0.2, 0.346), (-0.2, 0.346), (-0.4, 0.0), (-0.2, -0.346), (0.2, -0.346))
_LEAF = ((0.0, 0.72), (0.14, 0.44), (0.5, 0.3), (0.44, 0.56), (0.2, 0.74))
_FLOWER = shape(
    (ACCENT, ((-0.06, -0.3), (0.06, -0.3), (0.07, 1.0), (-0.07, 1.0))),
    (ACCENT, _LEAF),
    (ACCENT, tuple((x, y + 0.14) for x, y in mirrored(_LEAF))),
    *((BODY, ellipse(x, y - 0.4, 0.25, 0.25)) for x, y in _PETALS),
    (TRIM, ellipse(0, -0.4, 0.23, 0.23)),
    (DARK, ellipse(0, -0.4, 0.08, 0.08)),
)
_HOUSE = shape(
    (DARK, box(0.36, -0.9, 0.6, -0.3)),
    (TRIM, box(-0.74, -0.1, 0.74, 0.85)),
    (BODY, ((-1.0, 0.0), (-0.06, -0.86), (0.06, -0.86), (1.0, 0.0))),
    (ACCENT, box(-0.16, 0.28, 0.18, 0.85)),
    (LIGHT, box(-0.6, 0.16, -0.28, 0.48)),
    (LIGHT, box(0.3, 0.16, 0.62, 0.48)),
    (DARK, box(-0.47, 0.16, -0.41, 0.48)),
    (DARK, box(0.43, 0.16, 0.49, 0.48)),
    (LIGHT, ellipse(0.0, -0.34, 0.14, 0.14)),
)
_BOW = ((0.0, 0.0), (0.2, -0.12), (0.2, 0.12))
_BOWS = ((0.16, 0.62), (0.02, 0.8), (0.2, 0.95))
_STRING = (
    *((-0.04, 0.4), (0.04, 0.4), (0.2, 0.6), (0.08, 0.8)),
    *((0.26, 1.0), (0.17, 1.0), (-0.02, 0.8), (0.1, 0.6)),
)
_KITE = shape(
    (DARK, _STRING),
    *((ACCENT, tuple((x + u, y + v) for u, v in _BOW)) for x, y in _BOWS),
    *((ACCENT, tuple((x - u, y + v) for u, v in _BOW)) for x, y in _BOWS),
    (BODY, ((0.0, -1.0), (0.62, -0.36), (0.0, 0.46), (-0.62, -0.36))),
    (TRIM, ((0.0, -1.0), (0.62, -0.36), (0.0, -0.36))),
    (TRIM, ((0.0, 0.46), (-0.62, -0.36), (0.0, -0.36))),
    (DARK, box(-0.03, -0.96, 0.03, 0.42)),
    (DARK, box(-0.58, -0.39, 0.58, -0.33)),
    stands=False,
)
_LAMP = shape(
    (DARK, box(-0.08, -0.2, 0.08, 0.86)),
    (TRIM, ellipse(0, 0.34, 0.17, 0.2)),
    (ACCENT, ((-0.5, 1.0), (-0.46, 0.88), (-0.2, 0.78), (0.2, 0.78), (0.46, 0.88), (0.5, 1.0))),
    (BODY, ((-0.36, -1.0), (0.36, -1.0), (0.76, -0.12), (-0.76, -0.12))),
    (LIGHT, ((-0.68, -0.3), (0.68, -0.3), (0.72, -0.2), (-0.72, -0.2))),
    (LIGHT, ((-0.4, -0.9), (0.4, -0.9), (0.44, -0.82), (-0.44, -0.82))),
)
_STEM = ((0.22, 0.0), (0.24, 0.5), (0.36, 0.82), (0.26, 0.95))
_MUSHROOM = shape(
    (LIGHT, (*_STEM, *mirrored(_STEM)[::-1])),
    (TRIM, ((-0.3, 0.16), (0.3, 0.16), (0.36, 0.34), (-0.36, 0.34))),
    (BODY, (*dome(0, 0.02, 0.95, 0.9), (0.84, 0.16), (0.4, 0.22), (-0.4, 0.22), (-0.84, 0.16))),
    (ACCENT, ellipse(-0.45, -0.2, 0.17, 0.15)),
    (ACCENT, ellipse(0.1, -0.5, 0.2, 0.17)),
    (ACCENT, ellipse(0.52, -0.1, 0.16, 0.14)),
    (ACCENT, ellipse(0.02, -0.02, 0.12, 0.1)),
)
_BROADLEAF = shape(
    (DARK, ((-0.1, 0.1), (0.1, 0.1), (0.13, 0.8), (0.24, 1.0), (-0.24, 1.0), (-0.13, 0.8))),
    (BODY, ellipse(-0.44, -0.02, 0.4, 0.36)),
    (BODY, ellipse(0.44, -0.02, 0.4, 0.36)),
    (BODY, ellipse(-0.26, -0.5, 0.4, 0.4)),
    (BODY, ellipse(0.28, -0.48, 0.4, 0.4)),
    (BODY, ellipse(0, -0.2, 0.4, 0.5)),
    (TRIM, ellipse(-0.3, -0.44, 0.22, 0.18)),
    (TRIM, ellipse(0.3, -0.1, 0.2, 0.16)),
    (TRIM, ellipse(-0.4, 0.06, 0.16, 0.12)),
)
_CONIFER = shape(
    (DARK, box(-0.12, 0.6, 0.12, 1.0)),
    (BODY, ((0.0, -0.2), (0.8, 0.72), (-0.8, 0.72))),
    (TRIM, ((-0.8, 0.72), (-0.69, 0.6), (0.69, 0.6), (0.8, 0.72))),
    (BODY, ((0.0, -0.6), (0.64, 0.26), (-0.64, 0.26))),
    (TRIM, ((-0.64, 0.26), (-0.54, 0.14), (0.54, 0.14), (0.64, 0.26))),
    (BODY, ((0.0, -1.0), (0.48, -0.2), (-0.48, -0.2))),
    (TRIM, ((-0.48, -0.2), (-0.4, -0.32), (0.4, -0.32), (0.48, -0.2))),
)
_SCALLOPS = (
    *((1.0, 0.06), (0.84, -0.06), (0.66, -0.08), (0.5, -0.04), (0.34, 0.06), (0.18, -0.06), (0.0, -0.08)),
    *((-0.18, -0.06), (-0.34, 0.06), (-0.5, -0.04), (-0.66, -0.08), (-0.84, -0.06), (-1.0, 0.06)),
)
_PANEL = ((0.0, -0.88), (0.2, -0.6), (0.34, 0.06), (0.18, -0.06), (0.0, -0.08))
_HOOK = (
    *((-0.05, 0.5), (0.07, 0.5), (0.07, 0.82), (0.14, 0.9), (0.24, 0.9), (0.31, 0.82), (0.31, 0.7)),
    *((0.43, 0.7), (0.43, 0.86), (0.3, 1.02), (0.08, 1.02), (-0.05, 0.86)),
)
_UMBRELLA = shape(
    (DARK, box(-0.05, -1.0, 0.05, 0.78)),
    (ACCENT, _HOOK),
    (BODY, (*dome(0, 0.06, 1.0, 0.94), *_SCALLOPS)),
    (TRIM, (*_PANEL, *mirrored(_PANEL)[:0:-1])),
)

SHAPES: Mapping[str, tuple[Shape, ...]] = {
    "balloon": (_BALLOON,),
    "bird": (_BIRD,),
    "boat": (_BOAT,),
    "car": (_CAR,),
    "fish": (_FISH,),
    "flower": (_FLOWER,),
    "house": (_HOUSE,),
    "kite": (_KITE,),
    "lamp": (_LAMP,),
    "mushroom": (_MUSHROOM,),
    "tree": (_BROADLEAF, _CONIFER),
    "umbrella": (_UMBRELLA,),
}
