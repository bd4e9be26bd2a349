"""Which settings of a search could have won if rounding had moved their values, and how far rankings could agree."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.possible import WIDEST, Possible
from xai_eval.tasks.ties.bounds import correlations_of_groups

# Of up to so many settings, all combinations that could have been tied are listed; of more, each alone, and all.
MOST_TIED = 4


@dataclass(frozen=True, eq=False)
class ValueBounds:
    """The smallest and the largest values of S settings that rounding leaves possible, higher being better.

    Attributes:
        low: the smallest values, (S,); NaN for those that are not known.
        high: the largest values, (S,).
        same: numbers of groups of settings that give the same explanation, (S,), and so always the same value.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    same: NDArray[np.intp]

    @property
    def winners(self) -> NDArray[np.intp]:
        """Indices of the settings that could have had the best value; empty if no value is known."""
        if np.isnan(self.low).all():
            return np.array([], dtype=np.intp)
        return np.flatnonzero(self.high >= np.nanmax(self.low))

    @property
    def ranks(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The best and the worst rank of each setting, from 1 to S, (S,) each; one that is not known is the last.

        Settings that give the same explanation share their mean rank, as in `mean_ranks`.
        """
        low, high = (np.where(np.isnan(each), -np.inf, each) for each in (self.low, self.high))
        alike = self.same[None, :] == self.same[:, None]
        own = (alike.sum(axis=1) + 1) / 2
        better, not_worse = low[None, :] > high[:, None], (high[None, :] >= low[:, None]) & ~alike
        return better.sum(axis=1) + own, not_worse.sum(axis=1) + own

    @property
    def groups(self) -> NDArray[np.int64]:
        """Numbers of groups of settings that may come in any order, from the worst to the best, (S,)."""
        order, numbers = np.argsort(self.low, kind="stable"), np.empty(len(self.low), dtype=np.int64)
        reached, number = -np.inf, -1
        for place in order:
            number += int(self.low[place] > reached)
            reached = max(reached, float(self.high[place]))
            numbers[place] = number
        return numbers


def value_bounds(
    values: NDArray[np.float64], possible: Sequence[Possible | None], sign: int, rounding: float
) -> ValueBounds:
    """Return the bounds of the values of S settings by one objective, (S,).

    Args:
        values: the values, (S,).
        possible: for each, what rounding could have put in its place if it jumps; None where it does not.
        sign: 1 if higher is better, -1 if lower is better.
        rounding: by how much values that do not jump may move, as a share of the largest, see `bounds`.
    """
    reach = rounding * float(np.nanmax(np.abs(values))) if not np.isnan(values).all() else 0.0
    ends = np.stack([values - reach, values + reach])
    for place, cell in enumerate(possible):
        if cell is not None:
            value = values[place]
            ends[:, place] = max(cell.low, value - WIDEST) - reach, min(cell.high, value + WIDEST) + reach
    ends = np.sort(sign * ends, axis=0)
    return ValueBounds(ends[0], ends[1], np.arange(len(values)))


def possible_overall(every: Sequence[ValueBounds]) -> NDArray[np.intp]:
    """Return the indices of the settings that could have had the best mean rank over images."""
    best, worst = (np.mean([each.ranks[end] for each in every], axis=0) for end in (0, 1))
    return np.flatnonzero(best <= worst.min())


def possible_trust(objective: ValueBounds, truth: ValueBounds, found: float) -> Possible | None:
    """Return between which values the rank correlation of an objective with the truth could have lain.

    Args:
        objective: bounds of the values of the objective.
        truth: bounds of the true quality.
        found: what was found; None is returned if it is NaN.
    """
    if np.isnan(found):
        return None
    first, second = objective.groups, truth.groups
    known = [each for each in (found, *correlations_of_groups(first, second)) if not np.isnan(each)]
    return Possible(min(known), max(known))


def combinations(places: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what of some tied things could have been tied: every combination, or of many, each alone and all."""
    if len(places) > MOST_TIED:
        return [*((each,) for each in places), tuple(places)]
    sizes = range(1, len(places) + 1)
    return [found for size in sizes for found in itertools.combinations(places, size)]


def cells_of(possible: Sequence[Mapping[str, Possible]], name: str, count: int) -> list[Possible | None]:
    """Return what was possible in one column of a table of `count` rows."""
    return [row.get(name) for row in possible] if possible else [None] * count
