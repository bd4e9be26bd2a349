"""Confidence intervals of means over few images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its 95 % interval; the interval is NaN for fewer than two values, all is NaN for none."""

    mean: float
    low: float
    high: float
    count: int


def mean_interval(values: Sequence[float], seed: int = 0) -> MeanInterval:
    """Mean of the values that are no NaN, with the percentile bootstrap (Efron 1979, scipy's) over 9,999 resamples."""
    from scipy.stats import bootstrap

    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return MeanInterval(float("nan"), float("nan"), float("nan"), 0)
    if len(known) < 2:
        return MeanInterval(float(known.mean()), float("nan"), float("nan"), len(known))
    found = bootstrap((known,), np.mean, method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return MeanInterval(float(known.mean()), float(found.low), float(found.high), len(known))
