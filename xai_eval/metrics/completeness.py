"""Completeness: whether an attribution adds up to what it explains (an axiom of Sundararajan et al. 2017)."""

from __future__ import annotations

import math


def completeness_error(total: float, score: float, baseline_score: float) -> float:
    """Return by how much an attribution misses the change of the score, as a share of the larger score; 0 is best.

    Args:
        total: sum of the attribution over all pixels and channels.
        score: score of the explained class for the image.
        baseline_score: the same for the baseline.

    Returns:
        |total - (score - baseline_score)| over the larger of |score| and |baseline_score|; NaN if both are zero. The
        scores are the scale, not their difference, because two scores can be nearly the same.
    """
    scale = max(abs(score), abs(baseline_score))
    return abs(total - (score - baseline_score)) / scale if scale else math.nan
