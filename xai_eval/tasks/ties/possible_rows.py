"""What rounding could have put into the rows of tables about maps, where a map has ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields import Heatmap
from xai_eval.result.fields.possible import Possible
from xai_eval.result.fields.table import Cell, Cells
from xai_eval.tasks.ties.bounds import exactly, hottest_bounds, possible_iou, possible_pointing_hit


def possible_row(
    heatmap: Heatmap,
    mask: NDArray[np.bool_] | None,
    margin: tuple[int, int],
    rounding: float,
    saliency: NDArray[np.floating[Any]] | None = None,
) -> dict[str, Possible]:
    """Return what could have stood in place of the measures that jump in `map_row`; nothing if there are none.

    Args:
        heatmap: the displayed map.
        mask: the object, (H, W), or None.
        margin: as in `map_row`.
        rounding: how far apart two values may be and still be tied, see `bounds`.
        saliency: the map by whose order the hottest pixels are chosen, if that is not the displayed one.
    """
    if mask is None or heatmap.degenerate:
        return {}
    area, ordered = int(np.count_nonzero(mask)), heatmap.array if saliency is None else saliency
    return {
        "pointing_hit": possible_pointing_hit(heatmap.array, mask, rounding, margin),
        "pointing_exact": possible_pointing_hit(heatmap.array, mask, rounding),
        "iou_equal_area": possible_iou(hottest_bounds(ordered, area, area, rounding), exactly(mask)),
    }


def by_column(rows: Sequence[Mapping[str, Cell]]) -> dict[str, Cells]:
    """Return rows as columns of a table; a row without a measure has nothing else to offer in its column."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: tuple(row.get(name) for row in rows) for name in names}
