"""Polygons: their outlines, and the pixels inside them.

Only + - * / and comparisons are used. IEEE 754 defines how these are rounded, so an outline covers the same pixels on
every machine. Curves are computed by the half-angle formulas of the circle, because libraries differ in the last bits
of a sine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Outline = tuple[Point, ...]
Points = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

_PER_QUARTER = 4


def unit_direction(half_angle_tangent: float) -> Point:
    """Return (cos a, sin a) of the angle a with tan(a / 2) as given; 0.1 is about 11 degrees."""
    t = half_angle_tangent
    return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def ellipse(x: float, y: float, rx: float, ry: float) -> Outline:
    """Return the outline of an ellipse around (x, y) with the half axes rx and ry."""
    arc = [unit_direction(i / _PER_QUARTER) for i in range(_PER_QUARTER)]
    turns = ((1, 0), (0, 1), (-1, 0), (0, -1))
    circle = [(c * u - s * v, c * v + s * u) for u, v in turns for c, s in arc]
    return tuple((x + rx * c, y + ry * s) for c, s in circle)


def dome(x: float, y: float, rx: float, ry: float) -> Outline:
    """Return the outline of the upper half of an ellipse, from left to right; y grows downwards."""
    whole = ellipse(x, y, rx, ry)
    return (*whole[2 * _PER_QUARTER :], whole[0])


def box(left: float, top: float, right: float, bottom: float) -> Outline:
    """Return the outline of an upright rectangle."""
    return (left, top), (right, top), (right, bottom), (left, bottom)


def mirrored(outline: Iterable[Point]) -> Outline:
    """Return an outline reflected in the line x = 0."""
    return tuple((-x, y) for x, y in outline)


@dataclass(frozen=True)
class Figure:
    """P outlines with E corners in all, stored together, so that they can be filled at once.

    Attributes:
        corners: (x, y) of each corner, (E, 2).
        following: for each corner, the index of the next corner of its outline, (E,).
        starts: for each outline, the index of its first corner, (P,).
    """

    corners: Points
    following: Indices
    starts: Indices

    @classmethod
    def of(cls, outlines: Sequence[Outline]) -> Figure:
        """Join outlines, in their order."""
        lengths = [len(outline) for outline in outlines]
        starts = [sum(lengths[:i]) for i in range(len(lengths))]
        following = [s + (i + 1) % n for s, n in zip(starts, lengths, strict=True) for i in range(n)]
        corners = np.array([point for outline in outlines for point in outline], dtype=np.float64)
        return cls(corners, np.array(following), np.array(starts))

    def moved_to(self, corners: Points) -> Figure:
        """Return the same outlines with corners at other places, (E, 2)."""
        return Figure(corners, self.following, self.starts)

    def fill(self, rows: int, columns: int) -> Mask:
        """Return masks (P, rows, columns) of the pixels whose centre is inside each outline, by the even-odd rule.

        Corners are in pixels; pixel (i, j) has its centre at (j + 0.5, i + 0.5).
        """
        x, y = self.corners[:, :1], self.corners[:, 1:]
        centres = np.arange(rows) + 0.5
        crosses = (y <= centres) != (y[self.following] <= centres)
        edge, row = crosses.nonzero()
        x, y, end = x[edge, 0], y[edge, 0], self.following[edge]
        at = x + (centres[row] - y) * ((self.corners[end, 0] - x) / (self.corners[end, 1] - y))
        column = np.clip(np.floor(at + 0.5), 0, columns).astype(np.intp)
        return self._between_crossings(edge, row, column, (rows, columns))

    def _between_crossings(self, edge: Indices, row: Indices, column: Indices, size: tuple[int, int]) -> Mask:
        """Return masks (P, rows, columns) whose rows switch between outside and inside wherever an edge crosses."""
        count, (rows, columns) = len(self.starts), size
        outline = np.searchsorted(self.starts, edge, side="right") - 1
        place = (outline * rows + row) * (columns + 1) + column
        crossings = np.bincount(place, minlength=count * rows * (columns + 1))
        passed = crossings.reshape(count, rows, columns + 1).cumsum(axis=2)
        return np.asarray(passed[:, :, :columns] % 2 == 1)
