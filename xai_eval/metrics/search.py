"""Which settings win by an objective, and which objectives can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Differences below it are rounding: the settings are tied.
TIE = 1e-6


@dataclass(frozen=True)
class Objective:
    """A column by which settings are ranked. `sign` is 1 where more is better, -1 where less is."""

    name: str
    sign: int

    @property
    def better(self) -> str:
        """The word for the better end."""
        return "higher" if self.sign > 0 else "lower"


# The distance of the centres of mass is the study's heuristic. The last needs a mask.
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
    """Return the places of the best of `values` (S,), all that are tied; none where all are NaN."""
    good = values * objective.sign
    if np.isnan(good).all():
        return np.array([], dtype=np.intp)
    return np.flatnonzero(good >= np.nanmax(good) - TIE)


def mean_ranks(values: NDArray[np.float64], objective: Objective) -> NDArray[np.float64]:
    """Average the ranks of S settings over P images, (P, S) to (S,); 1 is best, ties share, NaN ranks last."""
    from scipy.stats import rankdata

    good = np.where(np.isnan(values), -np.inf, np.round(values * objective.sign / TIE))
    return np.asarray(rankdata(-good, axis=1).mean(axis=0))


def trust(values: NDArray[np.float64], truth: NDArray[np.float64], objective: Objective) -> float:
    """Rank correlation of an objective with the truth over settings, both (S,), in [-1, 1]; 1 if it ranks them alike.

    NaN where either is NaN or the same for all settings: then there is nothing to rank.
    """
    from scipy.stats import spearmanr

    good = np.round(values * objective.sign / TIE)
    true = np.round(truth / TIE)
    if np.isnan(good).any() or np.isnan(true).any() or np.ptp(good) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(spearmanr(good, true).statistic)
