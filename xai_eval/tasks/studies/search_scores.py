"""Scores of the settings of a search on one image. Settings that give the same explanation share one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.inputs.steps import Steps, Turn
from xai_eval.metrics.faithfulness import faithfulness
from xai_eval.metrics.geometry import centre_distance
from xai_eval.metrics.localisation import hottest, iou_at_equal_area
from xai_eval.metrics.search import TRUTH, Objective, winners
from xai_eval.metrics.superpixels import mask_of_area, positive_map
from xai_eval.result.fields import Table
from xai_eval.result.fields.possible import Possible
from xai_eval.result.map_similarity import iou
from xai_eval.tasks.ties.bounds import area_bounds, exactly, hottest_bounds, possible_iou
from xai_eval.tasks.ties.possible_curves import possible_curves
from xai_eval.tasks.ties.possible_winners import ValueBounds, cells_of, value_bounds

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime import Surrogate
    from xai_eval.explainers.lime.lime_search import Grid, LimeSearch, Setting
    from xai_eval.tasks.image.subject import Subject

# The share of the image that both masks cover when Grad-CAM and LIME are compared.
AREA = 0.2


@dataclass(frozen=True, eq=False)
class ScoredSettings:
    """The scores of all settings of a grid on one image.

    Attributes:
        tied: the settings that give the same explanation, the cheapest first, by the name of their row.
        frame: one row per explanation, with its name, its settings and its value by every objective.
        possible: for each row, what rounding could have put in place of objectives that jump.
    """

    tied: Mapping[str, tuple[Setting, ...]]
    frame: pd.DataFrame
    possible: Sequence[Mapping[str, Possible]] = ()

    def values(self, objective: Objective) -> NDArray[np.float64]:
        """Return the values of one objective, one per row, (S,); NaN where it could not be computed."""
        if objective.name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return self.frame[objective.name].to_numpy(dtype=np.float64)

    def bounds(self, objective: Objective, rounding: float) -> ValueBounds:
        """Return between which values rounding could have put those of an objective, one per row."""
        cells = cells_of(self.possible, objective.name, len(self.frame))
        return value_bounds(self.values(objective), cells, objective.sign, rounding)

    def of_settings(self, objective: Objective) -> dict[Setting, float]:
        """Return the values of one objective by setting."""
        rows = zip(self.tied.values(), self.values(objective), strict=True)
        return {setting: float(value) for settings, value in rows for setting in settings}

    def best(self, objective: Objective) -> tuple[Setting, ...]:
        """Return all settings with the best value of an objective, the cheapest first; none if it is not known."""
        rows = list(self.tied.values())
        return cheapest_first(
            setting for place in winners(self.values(objective), objective) for setting in rows[place]
        )


@dataclass(frozen=True, eq=False)
class Scoring:
    """The steps of the work on one explanation, which may be that of several settings.

    Attributes:
        subject: the image and the explained class.
        found: the search on this image.
        cam: Grad-CAM's map of the same class, (H, W).
        rounding: how far apart two values may be and still be tied.
    """

    subject: Subject
    found: LimeSearch
    cam: NDArray[np.float32]
    rounding: float

    @property
    def steps(self) -> Steps[Sequence[Setting], Surrogate, _Curves, _Scored]:
        """To fit a surrogate and to compare maps needs predictions only; curves need the model."""
        return Steps(self._fitted, self._curves, self._scored)

    def _fitted(self, tied: Sequence[Setting]) -> Surrogate:
        return self.found.surrogate(tied[0], self.subject.target.index)

    def _curves(self, tied: Sequence[Setting], turn: Turn[Surrogate]) -> _Curves:
        from xai_eval.inputs.models.later_checks import checked_at_the_end

        subject, surrogate = self.subject, turn.prepared()
        painted = surrogate.weights[self._segments(tied)]
        given = subject.canvas, subject.predict, subject.target.index
        with checked_at_the_end():
            curves = faithfulness(painted, *given)
            scores = {"deletion": curves.deletion, "insertion": curves.insertion}
            return _Curves(surrogate, scores, possible_curves(scores, painted, *given, self.rounding))

    def _scored(self, tied: Sequence[Setting], curves: _Curves) -> _Scored:
        setting, surrogate, segments = tied[0], curves.surrogate, self._segments(tied)
        scores = self._scores(surrogate.weights, segments, curves.scores)
        row = {
            "segmentation": setting.segmentation,
            "num_samples": setting.num_samples,
            "superpixels": len(surrogate.weights),
            "features": self.found.features(setting),
            "tied_settings": len(tied),
            "r2": surrogate.r2,
            **scores,
        }
        possible = {**curves.possible, **self._possible(surrogate.weights, segments)}
        return _Scored(row, {name: each for name, each in possible.items() if name in scores})

    def _segments(self, tied: Sequence[Setting]) -> NDArray[np.int64]:
        return self.found.neighbourhoods[tied[0].segmentation].segments

    def _scores(
        self, weights: NDArray[np.float64], segments: NDArray[np.int64], curves: Mapping[str, float]
    ) -> dict[str, float]:
        mask, known = mask_of_area(weights, segments, AREA), self.subject.mask
        scores = {
            "centre_distance": centre_distance(positive_map(weights, segments), self.cam),
            **curves,
            "iou_gradcam": iou(mask, hottest(self.cam, int(mask.sum()))),
        }
        return scores if known is None else {**scores, TRUTH: iou_at_equal_area(weights[segments], known)}

    def _possible(self, weights: NDArray[np.float64], segments: NDArray[np.int64]) -> dict[str, Possible]:
        """Return what rounding could have put in place of the scores that jump, but for those of curves."""
        mask, known = area_bounds(weights, segments, AREA, self.rounding), self.subject.mask
        areas = int(mask.surely.sum()), int(mask.maybe.sum())
        found = {"iou_gradcam": possible_iou(mask, hottest_bounds(self.cam, *areas, self.rounding))}
        if known is not None:
            area = int(np.count_nonzero(known))
            own = hottest_bounds(weights[segments], area, area, self.rounding)
            found[TRUTH] = possible_iou(own, exactly(known))
        return found


@dataclass(frozen=True, eq=False)
class _Curves:
    """A surrogate, its deletion and insertion, and what rounding could have put in their place."""

    surrogate: Surrogate
    scores: Mapping[str, float]
    possible: Mapping[str, Possible]


@dataclass(frozen=True, eq=False)
class _Scored:
    """The row of an explanation, without its name, and what rounding could have put in place of its scores."""

    row: Mapping[str, Any]
    possible: Mapping[str, Possible]


def score_settings(scoring: Scoring, grid: Grid, turn: Turn[Any]) -> ScoredSettings:
    """Compute the scores of all settings of a grid, once per different explanation, when it is the turn of the image.

    Explanations are fitted and compared while the model measures another.
    """
    tied = _tied(grid, {name: int(each.samples.shape[1]) for name, each in scoring.found.neighbourhoods.items()})
    every = turn.parts(scoring.steps, tied.values())
    rows = [{"setting": name, **each.row} for name, each in zip(tied, every, strict=True)]
    return ScoredSettings(tied, pd.DataFrame(rows), [each.possible for each in every])


def scored_in(grid: Grid, table: Table) -> ScoredSettings:
    """Return the scores that the result of an image holds.

    Args:
        grid: the settings of the search.
        table: the table of `ScoredSettings`, as the result stores it.
    """
    frame = table.frame
    superpixels = dict(zip(frame["segmentation"], frame["superpixels"].tolist(), strict=True))
    return ScoredSettings(_tied(grid, superpixels), frame, [_ranges(table, row) for row in range(len(frame))])


def _ranges(table: Table, row: int) -> dict[str, Possible]:
    cells = {name: each[row] for name, each in table.possible.items()}
    return {name: cell for name, cell in cells.items() if isinstance(cell, Possible)}


def cost(setting: Setting) -> tuple[Any, ...]:
    """Return what settings are sorted by: number of samples, then labels and features to fit, then size of batches."""
    s = setting
    return s.num_samples, s.top_labels, s.num_features, -s.batch_size, s.segmentation


def cheapest_first(settings: Iterable[Setting]) -> tuple[Setting, ...]:
    """Sort settings by cost."""
    return tuple(sorted(settings, key=cost))


def _tied(grid: Grid, superpixels: Mapping[str, int]) -> dict[str, tuple[Setting, ...]]:
    """Group the settings that give the same explanation. `superpixels` are the numbers of them by segmentation.

    `top_labels` and `batch_size` do not change the explanation of the explained class, and `num_features` changes it
    only if it is smaller than the number of superpixels.
    """
    groups: dict[str, list[Setting]] = {}
    for setting in grid.settings:
        whole = superpixels[setting.segmentation]
        limit = "" if setting.num_features >= whole else f", best {setting.num_features}"
        groups.setdefault(f"{setting.segmentation}, {setting.num_samples} samples{limit}", []).append(setting)
    return {name: cheapest_first(settings) for name, settings in groups.items()}
