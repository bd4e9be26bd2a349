"""What chance can do, in numpy alone: used on both sides of the wall."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def discovery_rates(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values (J,) for their number: those with at most q hold a share of at most q false discoveries.

    Benjamini and Hochberg 1995. NaN stays, and does not count.
    """
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    if not known.size:
        return adjusted
    order = known[np.argsort(p_values[known])]
    scaled = p_values[order] * known.size / np.arange(1, known.size + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def sign_test(one_way: int, other_way: int) -> float:
    """Probability, two-sided, that fair coins fall at least so unevenly; 1 for no coins. Exact."""
    coins, fewer = one_way + other_way, min(one_way, other_way)
    tail = sum(math.comb(coins, k) for k in range(fewer + 1))
    return float(min(1.0, 2.0 * tail / 2**coins))
