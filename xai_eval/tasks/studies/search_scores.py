"""Scores of the settings of a search on one image. Settings that give the same explanation share one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.faithfulness import Predict, faithfulness
from xai_eval.metrics.geometry import centre_distance
from xai_eval.metrics.localisation import hottest, iou_at_equal_area
from xai_eval.metrics.search import TRUTH, Objective, winners
from xai_eval.metrics.superpixels import mask_of_area, positive_map
from xai_eval.result.fields import Table
from xai_eval.result.fields.possible import Possible
from xai_eval.result.map_similarity import iou
from xai_eval.tasks.ties.bounds import area_bounds, exactly, hottest_bounds, possible_iou, rounding_on
from xai_eval.tasks.ties.possible_curves import possible_curves
from xai_eval.tasks.ties.possible_winners import ValueBounds, cells_of, value_bounds

if TYPE_CHECKING:
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


def score_settings(
    subject: Subject, grid: Grid, found: LimeSearch, cam: NDArray[np.float32], predict: Predict
) -> ScoredSettings:
    """Compute the scores of all settings, once per different explanation.

    Args:
        subject: the image and the explained class.
        grid: the settings.
        found: the search on this image.
        cam: Grad-CAM's map of the same class, (H, W).
        predict: computes probabilities (N, C) from images uint8 (N, H, W, 3).
    """
    tied = _tied(grid, {name: int(each.samples.shape[1]) for name, each in found.neighbourhoods.items()})
    rows, possible = [], []
    rounding = rounding_on(subject.classifier.device.type)
    for name, settings in tied.items():
        setting = settings[0]
        surrogate = found.surrogate(setting, subject.target.index)
        segments = found.neighbourhoods[setting.segmentation].segments
        scores = _scores(subject, surrogate.weights, segments, cam, predict)
        possible.append(_possible(scores, subject, surrogate.weights, segments, cam, predict, rounding))
        rows.append(
            {
                "setting": name,
                "segmentation": setting.segmentation,
                "num_samples": setting.num_samples,
                "superpixels": len(surrogate.weights),
                "features": found.features(setting),
                "tied_settings": len(settings),
                "r2": surrogate.r2,
                **scores,
            }
        )
    return ScoredSettings(tied, pd.DataFrame(rows), possible)


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


def _possible(
    scores: Mapping[str, float],
    subject: Subject,
    weights: NDArray[np.float64],
    segments: NDArray[np.int64],
    cam: NDArray[np.float32],
    predict: Predict,
    rounding: float,
) -> dict[str, Possible]:
    """Return what rounding could have put in place of the scores that jump."""
    painted, mask = weights[segments], area_bounds(weights, segments, AREA, rounding)
    areas = int(mask.surely.sum()), int(mask.maybe.sum())
    found = possible_curves(scores, painted, subject.view, predict, subject.target.index, rounding)
    found["iou_gradcam"] = possible_iou(mask, hottest_bounds(cam, *areas, rounding))
    if subject.mask is not None:
        area = int(np.count_nonzero(subject.mask))
        found[TRUTH] = possible_iou(hottest_bounds(painted, area, area, rounding), exactly(subject.mask))
    return {name: each for name, each in found.items() if name in scores}


def _scores(
    subject: Subject,
    weights: NDArray[np.float64],
    segments: NDArray[np.int64],
    cam: NDArray[np.float32],
    predict: Predict,
) -> dict[str, float]:
    painted = weights[segments]
    mask = mask_of_area(weights, segments, AREA)
    curves = faithfulness(painted, subject.view, predict, subject.target.index)
    scores = {
        "centre_distance": centre_distance(positive_map(weights, segments), cam),
        "deletion": curves.deletion,
        "insertion": curves.insertion,
        "iou_gradcam": iou(mask, hottest(cam, int(mask.sum()))),
    }
    return scores if subject.mask is None else {**scores, TRUTH: iou_at_equal_area(painted, subject.mask)}
