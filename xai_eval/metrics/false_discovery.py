"""P-values of the scores of units, and their correction for the number of units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control


def pooled_p_values(observed: NDArray[np.float64], null: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that chance gives a unit at least its score, (J,), in (0, 1]; NaN if the score is NaN.

    The scores of all units of a layer under shuffled labels make up one null distribution, because the few shuffles of
    one unit are too few for a p-value. This is valid if all units have the same null distribution. They nearly do: each
    unit is above its threshold on the same share of positions, and units differ only in how these positions are
    distributed over images and how they cluster within an image. Units that cluster more have a wider null
    distribution. Their p-values are somewhat too small, and those of the other units somewhat too large.

    Args:
        observed: scores of J units; NaN for dead units.
        null: scores of live units under shuffled labels, of any shape; NaN is left out.
    """
    chance = np.sort(null[~np.isnan(null)])
    reached = len(chance) - np.searchsorted(chance, observed, side="left")
    # The observed labels count as one of the shuffles, so that no p-value is 0 (Phipson and Smyth 2010).
    return np.where(np.isnan(observed), np.nan, (1 + reached) / (1 + len(chance)))


def discovery_rates(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the false discovery rate at which each unit would be discovered, (J,), in [0, 1].

    Among the units with a rate of at most q, the expected share of false discoveries is at most q. The method is from
    Benjamini and Hochberg 1995, computed by scipy. NaN stays NaN and does not count as a test.

    Args:
        p_values: p-values of J units, (J,).
    """
    adjusted = np.full(p_values.shape, np.nan)
    known = ~np.isnan(p_values)
    if known.any():
        adjusted[known] = false_discovery_control(p_values[known], method="bh")
    return adjusted
