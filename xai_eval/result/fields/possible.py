"""Values that a measure could have had if rounding had moved its inputs.

A measure jumps where its inputs tie: a rank correlation where two weights are equal, a mask where a pixel is as hot as
the threshold. So code that computes such a measure also computes the smallest and the largest value that rounding could
have given (`tasks/ties/bounds.py`). A golden within them is no change, and one beyond them is as far away as from the
nearer end. Only the values of the run count: what a golden says of them has no effect, and is not stored in it.
"""

from __future__ import annotations

from typing import NamedTuple

# A measure that rounding can move by more than this says too little to be excused. It is the cap of tolerances, too.
WIDEST = 0.25


class Possible(NamedTuple):
    """The smallest and the largest value that rounding could have given."""

    low: float
    high: float


def nearest(value: float, possible: Possible | None, golden: float) -> float:
    """Return, of the values that were possible in place of `value`, the one that is nearest to the golden.

    None counts that are farther than `WIDEST` from `value`. If one of the three is NaN, it is `value`.
    """
    if possible is None:
        return value
    low, high = max(possible.low, value - WIDEST), min(possible.high, value + WIDEST)
    return min(max(golden, low), high) if low <= value <= high and golden == golden else value
