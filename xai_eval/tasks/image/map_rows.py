"""What a table says about one map: whether it means anything, and how well it points at the object."""

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
    """Return the row of one map, (H, W), keyed by the name of its field.

    Args:
        name: of the field.
        heatmap: the map; a degenerate one points at nothing.
        mask: the object, (H, W), or None: then nothing is measured.
        margin: by how many rows and columns the pointing game may miss.
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
    """Return the row of one map, (H, W), with what it matters to the model.

    Args:
        name: of the field.
        saliency: the map with its signs; its whole order counts, in which what speaks against the class comes last.
        heatmap: what speaks for the class, as it is displayed.
        subject: the image that was explained.
        margin: by how many rows and columns the pointing game may miss.
        predict: from views to probabilities.
    """
    row = map_row(name, heatmap, subject.mask, margin)
    if not np.ptp(saliency) > 0.0:  # all equal, or NaN: no pixel comes before another
        nan = float("nan")
        return {**row, "deletion": nan, "insertion": nan, "insertion_less_deletion": nan}
    if subject.mask is not None and not heatmap.degenerate:
        row["iou_equal_area"] = iou_at_equal_area(saliency, subject.mask)
    curves = faithfulness(saliency, subject.view, predict, subject.target.index)
    return {
        **row,
        "deletion": curves.deletion,
        "insertion": curves.insertion,
        "insertion_less_deletion": curves.insertion - curves.deletion,
    }


def displayed(saliency: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """What speaks for the class, in [0, 1]."""
    positive = np.clip(saliency, 0.0, None)
    most = float(positive.max())
    return np.asarray(positive / most if most > 0.0 else positive, dtype=np.float32)
