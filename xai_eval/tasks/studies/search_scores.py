"""What the settings of a search come to on one image: one row for all settings that cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping
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
from xai_eval.result.map_similarity import iou

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime_search import Grid, LimeSearch, Setting
    from xai_eval.tasks.image.subject import Subject

# Share of the image on which Grad-CAM and LIME are compared.
AREA = 0.2


@dataclass(frozen=True, eq=False)
class ScoredSettings:
    """One image under every setting of a grid.

    Attributes:
        tied: settings by the name of their row, the cheapest first; they give the same explanation.
        frame: one row each: name, what was set, and every objective.
    """

    tied: Mapping[str, tuple[Setting, ...]]
    frame: pd.DataFrame

    def values(self, objective: Objective) -> NDArray[np.float64]:
        """Values of one objective, a row each; NaN where it is not known."""
        if objective.name not in self.frame:
            return np.full(len(self.frame), np.nan)
        return self.frame[objective.name].to_numpy(dtype=np.float64)

    def of_settings(self, objective: Objective) -> dict[Setting, float]:
        """Values of one objective by setting."""
        rows = zip(self.tied.values(), self.values(objective), strict=True)
        return {setting: float(value) for settings, value in rows for setting in settings}

    def best(self, objective: Objective) -> tuple[Setting, ...]:
        """All settings that win by an objective, the cheapest first; none where it is not known."""
        rows = list(self.tied.values())
        return cheapest_first(
            setting for place in winners(self.values(objective), objective) for setting in rows[place]
        )


def score_settings(
    subject: Subject, grid: Grid, found: LimeSearch, cam: NDArray[np.float32], predict: Predict
) -> ScoredSettings:
    """Measure every setting once for each explanation that it can lead to.

    Args:
        subject: the image, with the class that is explained.
        grid: the settings.
        found: the search on this image.
        cam: Grad-CAM's map of the same class, (H, W).
        predict: from views to probabilities.
    """
    tied = _tied(grid, found)
    rows = []
    for name, settings in tied.items():
        setting = settings[0]
        surrogate = found.surrogate(setting, subject.target.index)
        segments = found.neighbourhoods[setting.segmentation].segments
        rows.append(
            {
                "setting": name,
                "segmentation": setting.segmentation,
                "num_samples": setting.num_samples,
                "superpixels": len(surrogate.weights),
                "features": found.features(setting),
                "tied_settings": len(settings),
                "r2": surrogate.r2,
                **_scores(subject, surrogate.weights, segments, cam, predict),
            }
        )
    return ScoredSettings(tied, pd.DataFrame(rows))


def cheapest_first(settings: Any) -> tuple[Setting, ...]:
    """Order settings by what they cost: samples, then labels and features to fit, then batches."""
    return tuple(
        sorted(settings, key=lambda s: (s.num_samples, s.top_labels, s.num_features, -s.batch_size, s.segmentation))
    )


def _tied(grid: Grid, found: LimeSearch) -> dict[str, tuple[Setting, ...]]:
    """Group the settings: `top_labels` and `batch_size` never matter to the explained class, `num_features` only below
    the number of superpixels.
    """
    groups: dict[str, list[Setting]] = {}
    for setting in grid.settings:
        features = found.features(setting)
        all_of_them = features == found.neighbourhoods[setting.segmentation].samples.shape[1]
        limit = "" if all_of_them else f", best {features}"
        groups.setdefault(f"{setting.segmentation}, {setting.num_samples} samples{limit}", []).append(setting)
    return {name: cheapest_first(settings) for name, settings in groups.items()}


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
