"""Means over images, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its 95 % confidence interval.

    Attributes:
        mean: the mean, in the unit of the values; NaN without values.
        low: lower end of the interval; NaN for fewer than two values.
        high: upper end of the interval; NaN for fewer than two values.
        count: number of values.
    """

    mean: float
    low: float
    high: float
    count: int


def mean_interval(values: Sequence[float], seed: int = 0) -> MeanInterval:
    """Return the mean of the values and its 95 % interval; NaN among the values is left out.

    The interval is scipy's percentile bootstrap (Efron 1979) over 9,999 resamples.

    Args:
        values: one value per image.
        seed: seed of the resampling.
    """
    from scipy.stats import bootstrap

    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return MeanInterval(float("nan"), float("nan"), float("nan"), 0)
    if len(known) < 2:
        return MeanInterval(float(known.mean()), float("nan"), float("nan"), len(known))
    found = bootstrap((known,), np.mean, method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return MeanInterval(float(known.mean()), float(found.low), float(found.high), len(known))
