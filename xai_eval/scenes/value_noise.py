"""Value noise: random numbers on a coarse grid, interpolated smoothly in between."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xai_eval.scenes.dice import Dice

Field = NDArray[np.float64]
Cell = tuple[int, int]


def value_noise(dice: Dice, cells: Sequence[Cell], size: int) -> Field:
    """Return noise (size, size) in [0, 1).

    Args:
        dice: source of the random numbers.
        cells: height and width in pixels of the grid cells of each octave; each octave is half as strong as the one
            before.
        size: side of the result in pixels.
    """
    total, weight, sum_of_weights = np.zeros((size, size)), 1.0, 0.0
    for height, width in cells:
        lattice = dice.grid(size // height + 2, size // width + 2)
        total += weight * _blend(_blend(lattice, height, size).T, width, size).T
        sum_of_weights += weight
        weight /= 2
    return np.asarray(total / sum_of_weights)


def ridge(dice: Dice, cells: Sequence[int], size: int) -> Field:
    """Return noise (size,) in [0, 1) along one line, with octaves as in `value_noise`."""
    total, weight, sum_of_weights = np.zeros(size), 1.0, 0.0
    for cell in cells:
        total += weight * _blend(dice.grid(size // cell + 2, 1), cell, size)[:, 0]
        sum_of_weights += weight
        weight /= 2
    return np.asarray(total / sum_of_weights)


def _blend(lattice: Field, cell: int, size: int) -> Field:
    """Interpolate the first axis of a lattice to `size` pixels, with `cell` pixels from one value to the next."""
    index, share = _steps(cell, size)
    start = lattice[index]
    return np.asarray(start + (lattice[index + 1] - start) * share)


@lru_cache(maxsize=64)
def _steps(cell: int, size: int) -> tuple[NDArray[np.intp], Field]:
    index, offset = np.divmod(np.arange(size), cell)
    share = (offset + 0.5) / cell
    return index, (share * share * (3 - 2 * share))[:, None]
