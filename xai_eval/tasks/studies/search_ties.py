"""What the choices of a search could have been if rounding had moved the values that settings are chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.search import TRUTH, Objective, mean_ranks, winners
from xai_eval.result.fields.document import Choice
from xai_eval.result.fields.possible import Possible
from xai_eval.result.fields.table import Cell
from xai_eval.tasks.studies.search_scores import ScoredSettings, cheapest_first, cost
from xai_eval.tasks.ties.possible_winners import ValueBounds, combinations, possible_overall, possible_trust

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime_search import Grid, Setting


# The field with the map of the best setting.
_SHOWN_BY = ("lime",)


def told(setting: Setting) -> str:
    """Return a setting as tables name it."""
    return f"{setting.segmentation}, {setting.num_samples} samples"


def best_overall(scored: Sequence[ScoredSettings], grid: Grid, objective: Objective) -> tuple[Any, ...]:
    """Return the settings with the best mean rank over the images, the cheapest first."""
    by_image = [each.of_settings(objective) for each in scored]
    values = np.array([[own[setting] for setting in grid.settings] for own in by_image])
    ranks = mean_ranks(values, objective)
    return cheapest_first(grid.settings[place] for place in winners(ranks, Objective("mean rank", -1)))


def possible_best(scored: ScoredSettings, objective: Objective, rounding: float) -> tuple[Choice, ...]:
    """Return what could stand in the field `best` of one image: the cheapest of the tied settings, and their number."""
    groups = _tied_groups(scored, objective, rounding)
    if len(groups) < 2:
        return ()
    possible = ([setting for group in each for setting in group] for each in combinations(groups))
    return (Choice((), tuple(_entries("setting", each) for each in possible), _SHOWN_BY),)


def _entries(name: str, settings: Sequence[Setting]) -> dict[str, Any]:
    return {name: asdict(min(settings, key=cost)), "tied": len(settings)}


def possible_winner_row(scored: ScoredSettings, objective: Objective, rounding: float) -> dict[str, Cell]:
    """Return what else could stand in the row of an objective in the table of the winners of one image."""
    names, groups = list(scored.tied), list(scored.tied.values())
    places = [int(each) for each in scored.bounds(objective, rounding).winners]
    if len(places) < 2:
        return {}
    texts = tuple(" = ".join(names[place] for place in each) for each in combinations(places))
    sizes = [len(groups[place]) for place in places]
    return {"setting": texts, "tied_settings": _count(min(sizes), sum(sizes))}


def possible_best_of_all(
    scored: Mapping[str, ScoredSettings], grid: Grid, objective: Objective, rounding: float
) -> tuple[Choice, ...]:
    """Return what could stand in the field `best` of a whole set: the setting of all images, and of each."""
    overall = _overall(list(scored.values()), grid, objective, rounding)
    every = ([setting for group in each for setting in group] for each in combinations(overall))
    found = [Choice((), tuple(_entries("overall", each) for each in every))]
    for name, each in scored.items():
        groups = _tied_groups(each, objective, rounding)
        found.append(Choice(("images",), tuple({name: asdict(min(group, key=cost))} for group in groups), _SHOWN_BY))
    return tuple(each for each in found if len(each.possible) > 1)


def possible_objective_row(
    scored: Sequence[ScoredSettings],
    grid: Grid,
    objective: Objective,
    best: str,
    agreement: Sequence[float],
    rounding: float,
) -> dict[str, Cell]:
    """Return what else could stand in the row of an objective in the table of a whole set.

    Args:
        scored: the scores of each image.
        grid: the settings.
        objective: the objective.
        best: the best setting that the row names. If it is not the cheapest of those that won, no other is possible.
        agreement: its rank correlation with the truth on each image.
        rounding: how far apart two values may be and still be tied, see `bounds`.
    """
    groups = _overall(scored, grid, objective, rounding)
    overall = tuple(dict.fromkeys(told(min(group, key=cost)) for group in groups))
    chosen = best == told(min(best_overall(scored, grid, objective), key=cost))
    texts: dict[str, Cell] = {"best_overall": overall} if chosen and len(overall) > 1 else {}
    truth = Objective(TRUTH, 1)
    found = [
        possible_trust(each.bounds(objective, rounding), each.bounds(truth, rounding), value)
        for each, value in zip(scored, agreement, strict=True)
    ]
    ranges = [each for each in found if each is not None]
    if all(each.low == each.high for each in ranges):
        return texts
    low, high = (mean_interval([each[end] for each in ranges]) for end in (0, 1))
    ends = {"agrees_with_mask": (low.mean, high.mean), "low": (low.low, high.low), "high": (low.high, high.high)}
    return {**texts, **{name: Possible(*each) for name, each in ends.items() if not np.isnan(each).any()}}


def _count(low: int, high: int) -> Possible:
    return Possible(low, high, most=float(high - low))


def _tied_groups(scored: ScoredSettings, objective: Objective, rounding: float) -> list[tuple[Setting, ...]]:
    groups = list(scored.tied.values())
    return [groups[place] for place in scored.bounds(objective, rounding).winners]


def _overall(
    scored: Sequence[ScoredSettings], grid: Grid, objective: Objective, rounding: float
) -> list[list[Setting]]:
    """Return the settings that could have had the best mean rank; those that give the same on all images together."""
    every = [_of_settings(each, grid, objective, rounding) for each in scored]
    groups: dict[tuple[int, ...], list[Setting]] = {}
    for place in possible_overall(every):
        groups.setdefault(tuple(int(each.same[place]) for each in every), []).append(grid.settings[place])
    return list(groups.values())


def _of_settings(scored: ScoredSettings, grid: Grid, objective: Objective, rounding: float) -> ValueBounds:
    """Return the bounds of all settings of the grid; those of one row have the same."""
    rows = {setting: row for row, settings in enumerate(scored.tied.values()) for setting in settings}
    places, bounds = np.array([rows[setting] for setting in grid.settings]), scored.bounds(objective, rounding)
    return ValueBounds(bounds.low[places], bounds.high[places], places)
