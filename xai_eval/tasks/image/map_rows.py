"""What a table says about one map: whether it means anything, and how well it points at the object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.localisation import energy_inside, iou_at_equal_area, pointing_hit
from xai_eval.result.fields import Heatmap

TABLE_TOLERANCE = {"energy_inside": 0.02, "iou_equal_area": 0.05}


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
