"""Does one method beat another on the same images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.bootstrap import mean_interval

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedTest:
    """Differences of two methods over images.

    Attributes:
        mean: mean difference.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        p: of Wilcoxon's signed-rank test, two-sided; 1 where no difference is anything but 0, NaN without images.
        wins: images with a difference above 0.
        losses: images with one below 0.
    """

    mean: float
    low: float
    high: float
    p: float
    wins: int
    losses: int

    @property
    def beats(self) -> bool:
        """Whether the first method is better, and that is no accident."""
        return self.mean > 0.0 and self.p < SIGNIFICANT


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Test the differences first - second; images on which either is NaN are left out.

    Wilcoxon 1945, by scipy.
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
