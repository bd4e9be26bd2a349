"""Random choices that are the same with every version of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
_STEPS = 1 << 16
_BATCH = 256


class Dice:
    """Draws from one seeded stream of integers.

    numpy guarantees that the numbers of `RandomState` never change. Only its integers of fixed width are used, because
    they do not depend on the floating-point arithmetic of a machine. Everything else is plain Python.

    Args:
        seed: from 0 to 2**32 - 1.
    """

    def __init__(self, seed: int):
        self._stream = np.random.RandomState(seed)
        self._held: list[int] = []

    def below(self, count: int) -> int:
        """Return an integer in [0, count), count at most 65536."""
        return self._draw() * count >> 16

    def between(self, low: float, high: float) -> float:
        """Return a float in [low, high), one of 65536 evenly spaced."""
        return low + (high - low) * (self._draw() / _STEPS)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._draw() < probability * _STEPS

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of the items, all equally likely."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Return `count` different items in random order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]

    def grid(self, rows: int, columns: int) -> NDArray[np.float64]:
        """Return an array (rows, columns) of floats in [0, 1)."""
        return self._stream.randint(0, _STEPS, size=(rows, columns), dtype=np.int64) / _STEPS

    def _draw(self) -> int:
        if not self._held:  # in batches: a single draw takes as long as a few hundred
            self._held = self._stream.randint(0, _STEPS, size=_BATCH, dtype=np.int64).tolist()
        return self._held.pop()
