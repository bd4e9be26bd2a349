"""How many of many findings chance would have made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def chance_p_values(observed: Floats, by_chance: Floats) -> NDArray[np.float64]:
    """Return for each value the probability that chance gives as much, (J,); NaN where chance was not asked.

    The observed value counts as one draw of chance (Phipson and Smyth 2010), so that no probability is 0.

    Args:
        observed: of J units, (J,).
        by_chance: what chance gave, (Q,): of all units together, which is sound where all of them could have been
            active anywhere to the same share, as Network Dissection's thresholds make them.
    """
    if not len(by_chance):
        return np.full(len(observed), np.nan)
    drawn = np.sort(by_chance)
    as_much = len(drawn) - np.searchsorted(drawn, observed, side="left")
    return np.asarray((1.0 + as_much) / (1.0 + len(drawn)))


def false_discovery_rates(p_values: Floats) -> NDArray[np.float64]:
    """Return the false discovery rate at which each finding would just count (Benjamini and Hochberg 1995), (J,)."""
    from scipy.stats import false_discovery_control

    if not len(p_values) or np.isnan(p_values).any():
        return np.full(len(p_values), np.nan)
    return np.asarray(false_discovery_control(p_values))
