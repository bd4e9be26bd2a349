"""Tests whether one method is better than another on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.bootstrap import mean_interval

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedTest:
    """Differences between two methods over the same images. A positive difference means that the first is better.

    Attributes:
        mean: mean difference, in the unit of the measure.
        low: lower end of its 95 % bootstrap interval.
        high: upper end of its 95 % bootstrap interval.
        p: two-sided p-value of Wilcoxon's signed-rank test; 1 if all differences are 0, NaN without images.
        wins: number of images with a difference above 0.
        losses: number of images with a difference below 0.
    """

    mean: float
    low: float
    high: float
    p: float
    wins: int
    losses: int

    @property
    def beats(self) -> bool:
        """Whether the first method is better on average, and the difference is significant (p below 0.05)."""
        return self.mean > 0.0 and self.p < SIGNIFICANT


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Test the differences `first - second` by Wilcoxon's signed-rank test (Wilcoxon 1945, by scipy).

    Args:
        first: values of the first method, one per image; higher must be better.
        second: values of the second method, in the same order. Images where one of the two is NaN are left out.
    """
    both = np.array(first, dtype=np.float64) - np.array(second, dtype=np.float64)
    differences = both[~np.isnan(both)]
    interval = mean_interval(differences.tolist())
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return PairedTest(interval.mean, interval.low, interval.high, _p_value(differences), wins, losses)


def _p_value(differences: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    if not len(differences):
        return float("nan")
    return float(wilcoxon(differences).pvalue) if differences.any() else 1.0
