"""Finds the best settings by an objective, and measures how well objectives agree with the true masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Settings whose values differ by less are tied, because so small differences are rounding.
TIE = 1e-6


@dataclass(frozen=True)
class Objective:
    """A measure by which settings are ranked.

    Attributes:
        name: name of the measure.
        sign: 1 if higher is better, -1 if lower is better.
    """

    name: str
    sign: int

    @property
    def better(self) -> str:
        """`higher` or `lower`, whichever is better."""
        return "higher" if self.sign > 0 else "lower"


# The study used the distance of the centres of mass. Only the last objective needs the mask of the object.
TRUTH = "iou_mask"
OBJECTIVES = (
    Objective("centre_distance", -1),
    Objective("r2", 1),
    Objective("deletion", -1),
    Objective("insertion", 1),
    Objective("iou_gradcam", 1),
    Objective(TRUTH, 1),
)


def winners(values: NDArray[np.float64], objective: Objective) -> NDArray[np.intp]:
    """Return the indices of the best of S values, (S,), including all that are tied; empty if all values are NaN."""
    good = values * objective.sign
    if np.isnan(good).all():
        return np.array([], dtype=np.intp)
    return np.flatnonzero(good >= np.nanmax(good) - TIE)


def mean_ranks(values: NDArray[np.float64], objective: Objective) -> NDArray[np.float64]:
    """Return the mean rank of each setting over images, (S,), from 1 (best) to S.

    Tied settings share their mean rank, and NaN ranks last.

    Args:
        values: values of S settings on P images, (P, S).
        objective: says whether higher or lower is better.
    """
    from scipy.stats import rankdata

    good = np.where(np.isnan(values), -np.inf, np.round(values * objective.sign / TIE))
    return np.asarray(rankdata(-good, axis=1).mean(axis=0))


def trust(values: NDArray[np.float64], truth: NDArray[np.float64], objective: Objective) -> float:
    """Return the rank correlation (Spearman, by scipy) of an objective with the truth over S settings, in [-1, 1].

    Higher is better: 1 means that the objective ranks the settings as the truth does. The result is NaN if a value is
    NaN, or if all settings have the same value, because they then cannot be ranked.

    Args:
        values: values of the objective, (S,).
        truth: the true quality of the settings, (S,); higher is better.
        objective: says whether higher or lower is better.
    """
    from scipy.stats import spearmanr

    good = np.round(values * objective.sign / TIE)
    true = np.round(truth / TIE)
    if np.isnan(good).any() or np.isnan(true).any() or np.ptp(good) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(spearmanr(good, true).statistic)
