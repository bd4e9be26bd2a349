"""How much two masks share beyond what their areas alone would give."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.map_similarity import iou

BoolMask = NDArray[np.bool_]


def dice(first: BoolMask, second: BoolMask) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks of one shape, in [0, 1]; 1 for two empty masks."""
    share = iou(first, second)
    return 2.0 * share / (1.0 + share)


def chance_iou(first_area: int, second_area: int, pixels: int) -> float:
    """Expected IoU of two masks of these areas, thrown at random on `pixels` pixels, in [0, 1].

    The overlap k follows the hypergeometric distribution, proportional to the ways to choose it: the product of
    binomials C(a, k) C(n - a, b - k). (scipy's `hypergeom.pmf` gives the same and takes seconds at 224 x 224 pixels.)
    """
    from scipy.special import gammaln

    small, large = sorted((first_area, second_area))  # rounding must not depend on who is first
    total = small + large
    if total == 0:
        return 1.0
    shared = np.arange(max(0, total - pixels), small + 1)
    ways = -(gammaln(shared + 1) + gammaln(small - shared + 1))
    ways -= gammaln(large - shared + 1) + gammaln(pixels - total + shared + 1)
    likelihood = np.exp(ways - ways.max())
    return math.fsum(likelihood * shared / (total - shared)) / math.fsum(likelihood)


def iou_beyond_chance(first: BoolMask, second: BoolMask) -> float:
    """IoU corrected for chance: 0 for what two masks of these areas share by chance, 1 for equal masks, at least -1.

    NaN where chance alone gives 1 (both empty, or both everything): nothing can be told then.
    """
    expected = chance_iou(int(first.sum()), int(second.sum()), first.size)
    if expected > 1.0 - 1e-12:
        return float("nan")
    return max((iou(first, second) - expected) / (1.0 - expected), -1.0)
