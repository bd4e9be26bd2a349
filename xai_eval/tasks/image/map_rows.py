"""Rows of the tables about maps: whether a map is degenerate, how well it points at the object, and deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.faithfulness import Predict, faithfulness
from xai_eval.metrics.localisation import energy_inside, iou_at_equal_area, pointing_hit
from xai_eval.result.fields import Heatmap

if TYPE_CHECKING:
    from xai_eval.tasks.image.subject import Subject

TABLE_TOLERANCE = {"energy_inside": 0.02, "iou_equal_area": 0.05}
SCORE_TOLERANCE = {**TABLE_TOLERANCE, "deletion": 0.02, "insertion": 0.02, "insertion_less_deletion": 0.03}


def map_row(name: str, heatmap: Heatmap, mask: NDArray[np.bool_] | None, margin: tuple[int, int]) -> dict[str, Any]:
    """Return the row of one map, (H, W).

    Higher is better for all four measures: `pointing_hit` and `pointing_exact` (whether the hottest pixel lies within
    the margin of the object, or in the object itself), `energy_inside` and `iou_equal_area` (both in [0, 1]).

    Args:
        name: name of the map's field, which becomes the first column.
        heatmap: the map. A degenerate one (all zero, constant or not finite) counts as a miss, and its numbers are NaN.
        mask: the object, (H, W). If None, the row has no measures.
        margin: rows and columns by which the hottest pixel may miss the object.
    """
    row = {"method": name, "map": heatmap.degenerate or "ok"}
    if mask is None:
        return row
    if heatmap.degenerate:
        nan = float("nan")
        return {**row, "pointing_hit": False, "pointing_exact": False, "energy_inside": nan, "iou_equal_area": nan}
    return {
        **row,
        "pointing_hit": pointing_hit(heatmap.array, mask, margin),
        "pointing_exact": pointing_hit(heatmap.array, mask),
        "energy_inside": energy_inside(heatmap.array, mask),
        "iou_equal_area": iou_at_equal_area(heatmap.array, mask),
    }


def scored_row(
    name: str,
    saliency: NDArray[np.floating[Any]],
    heatmap: Heatmap,
    subject: Subject,
    margin: tuple[int, int],
    predict: Predict,
) -> dict[str, Any]:
    """Return the row of one map, (H, W), as `map_row` does, with deletion and insertion.

    Lower is better for `deletion` (in [0, 1]). Higher is better for `insertion` (in [0, 1]) and for
    `insertion_less_deletion` (in [-1, 1]). See `xai_eval.metrics.faithfulness`.

    Args:
        name: name of the map's field, which becomes the first column.
        saliency: the map with negative values for pixels that speak against the class. Only its order counts.
        heatmap: the displayed map, which shows only pixels that speak for the class.
        subject: the image that was explained.
        margin: rows and columns by which the hottest pixel may miss the object.
        predict: computes probabilities (N, C) from images uint8 (N, H, W, 3).
    """
    row = map_row(name, heatmap, subject.mask, margin)
    if not np.ptp(saliency) > 0.0:  # If all values are equal or NaN, the pixels have no order.
        nan = float("nan")
        return {**row, "deletion": nan, "insertion": nan, "insertion_less_deletion": nan}
    if subject.mask is not None and not heatmap.degenerate:
        row["iou_equal_area"] = iou_at_equal_area(saliency, subject.mask)
    curves = faithfulness(saliency, subject.canvas, predict, subject.target.index)
    return {
        **row,
        "deletion": curves.deletion,
        "insertion": curves.insertion,
        "insertion_less_deletion": curves.insertion - curves.deletion,
    }


def displayed(saliency: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Keep the positive values of a map, (H, W), and divide them by the largest, so that they lie in [0, 1]."""
    positive = np.clip(saliency, 0.0, None)
    most = float(positive.max())
    return np.asarray(positive / most if most > 0.0 else positive, dtype=np.float32)
