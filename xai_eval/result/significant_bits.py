"""How finely numbers are given: to how many significant bits all of them were rounded. Pure.

float32 has 24 significant bits, float16 11, bfloat16 8. A library that begins to compute in bfloat16 and returns
float32 changes its numbers by less than 1 %, but all of them then end in zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

FINE = 24  # or more: not told apart
_COARSE = (8, 11)
KNOWN_BITS = (0, *_COARSE, FINE)
# So many different numbers have few bits by chance or by design, such as those of a mask.
_FEWEST = 8
_FIRST, _CHUNK = 2**10, 2**18


def significant_bits(array: NDArray[Any]) -> int:
    """Return to how many significant bits numbers of any shape are rounded: 8, 11 or `FINE`; 0 if nothing tells.

    Nothing does where there are few different numbers, or whole multiples of one step, as counts and quantised maps
    are. Of numbers that are not rounded, a few of the first are looked at.
    """
    if array.dtype.kind != "f":
        return 0
    coarse = _COARSE[0]
    for numbers in _nonzero_chunks(array.reshape(-1)):
        coarse = _rounded_to(numbers, coarse)
        if coarse == FINE:
            return FINE
    return 0 if _tells_nothing(array, coarse) else coarse


def _nonzero_chunks(flat: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    for start, stop in ((0, _FIRST), *((each, each + _CHUNK) for each in range(_FIRST, flat.size, _CHUNK))):
        chunk = np.abs(flat[start:stop].astype(np.float64))
        yield chunk[np.isfinite(chunk) & (chunk > 0.0)]


def _rounded_to(numbers: NDArray[np.float64], least: int) -> int:
    """Return the smallest of the numbers of bits, from `least` on, that all of the numbers can be written with."""
    mantissas = np.frexp(numbers)[0]
    for bits in (each for each in _COARSE if each >= least):
        scaled = np.ldexp(mantissas, bits)
        if bool((scaled == np.rint(scaled)).all()):
            return bits
    return FINE


def are_fine(numbers: NDArray[Any]) -> bool:
    """Whether any of a few numbers shows that they are not rounded to few bits."""
    return any(_rounded_to(each, _COARSE[0]) == FINE for each in _nonzero_chunks(numbers.reshape(-1)))


def _tells_nothing(array: NDArray[Any], bits: int) -> bool:
    """Whether coarse numbers are too few, or multiples of the step that the largest of them has."""
    numbers = np.unique(np.concatenate(list(_nonzero_chunks(array.reshape(-1)))))
    if len(numbers) < _FEWEST:
        return True
    steps = np.ldexp(numbers, bits - int(np.frexp(numbers[-1])[1]))
    return bool((steps == np.rint(steps)).all())
