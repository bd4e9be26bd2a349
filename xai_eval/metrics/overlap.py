"""Measures how much two masks overlap, and how much of that their areas alone would give."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.map_similarity import iou

BoolMask = NDArray[np.bool_]


def dice(first: BoolMask, second: BoolMask) -> float:
    """Return the Dice coefficient 2 |A and B| / (|A| + |B|) of two masks, bool (h, w), in [0, 1].

    Higher is more overlap; two empty masks have 1. Source: Dice 1945.
    """
    share = iou(first, second)
    return 2.0 * share / (1.0 + share)


def chance_iou(first_area: int, second_area: int, pixels: int) -> float:
    """Return the expected IoU of two random masks of these areas, in [0, 1].

    The number k of shared pixels follows the hypergeometric distribution: its probability is proportional to
    C(a, k) C(n - a, b - k). scipy's `hypergeom.pmf` gives the same, but takes seconds for 224 x 224 pixels.

    Args:
        first_area: number of pixels of the first mask, a.
        second_area: number of pixels of the second mask, b.
        pixels: number of pixels of the image, n.
    """
    from scipy.special import gammaln

    small, large = sorted((first_area, second_area))  # so that rounding does not depend on the order of the masks
    total = small + large
    if total == 0:
        return 1.0
    shared = np.arange(max(0, total - pixels), small + 1)
    ways = -(gammaln(shared + 1) + gammaln(small - shared + 1))
    ways -= gammaln(large - shared + 1) + gammaln(pixels - total + shared + 1)
    likelihood = np.exp(ways - ways.max())
    return math.fsum(likelihood * shared / (total - shared)) / math.fsum(likelihood)


def iou_beyond_chance(first: BoolMask, second: BoolMask) -> float:
    """Return the IoU of two masks, bool (h, w), corrected for chance, in [-1, 1]; higher is more overlap.

    It is 1 for equal masks and 0 for the overlap that random masks of these areas are expected to have. It is NaN if
    the expected IoU is 1 (both masks are empty, or both cover everything), because the overlap then says nothing.
    """
    expected = chance_iou(int(first.sum()), int(second.sum()), first.size)
    if expected > 1.0 - 1e-12:
        return float("nan")
    return max((iou(first, second) - expected) / (1.0 - expected), -1.0)
