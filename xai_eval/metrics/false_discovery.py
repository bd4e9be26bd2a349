"""What chance gives a unit, and how many discoveries among many units are false."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control


def pooled_p_values(observed: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that chance gives a unit at least the score that it has, (J,); NaN where the score is.

    The scores of all units of a layer under shuffled labels make up one null distribution, because a few shuffles of
    one unit would resolve nothing. That is sound as far as units are exchangeable once labels are shuffled: each is
    above its threshold on the same share of positions, so that what is left of a unit is how it spreads them over
    images and how it clumps them within one. Units that clump more than others have a wider null of their own: their
    p-values are somewhat too small, and those of the others too large.

    Args:
        observed: scores of J units; NaN for dead ones.
        null: scores of live units under shuffled labels, of any shape; NaN is left out.
    """
    chance = np.sort(null[~np.isnan(null)])
    reached = len(chance) - np.searchsorted(chance, observed, side="left")
    # The observed labels are one of the shuffles: no p-value is 0 (Phipson and Smyth 2010).
    return np.where(np.isnan(observed), np.nan, (1 + reached) / (1 + len(chance)))


def discovery_rates(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values (J,) for their number: those with at most q hold a share of at most q false discoveries.

    Benjamini and Hochberg 1995, as scipy computes it. NaN stays, and does not count.
    """
    adjusted = np.full(p_values.shape, np.nan)
    known = ~np.isnan(p_values)
    if known.any():
        adjusted[known] = false_discovery_control(p_values[known], method="bh")
    return adjusted
