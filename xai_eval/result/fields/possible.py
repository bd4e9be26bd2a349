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
    """The smallest and the largest value that rounding could have given.

    `most` is how far from the value they may be at most to count: more than `WIDEST` only for what is counted or tested
    over many images, and so moves in whole steps.
    """

    low: float
    high: float
    most: float = WIDEST


def nearest(value: float, possible: Possible | None, golden: float) -> float:
    """Return, of the values that were possible in place of `value`, the one that is nearest to the golden.

    None counts that is farther from `value` than the range allows. If one of the three is NaN, it is `value`.
    """
    if possible is None:
        return value
    low, high = max(possible.low, value - possible.most), min(possible.high, value + possible.most)
    return min(max(golden, low), high) if low <= value <= high and golden == golden else value
