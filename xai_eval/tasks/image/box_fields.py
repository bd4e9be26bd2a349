"""The fields that say which box of a detector is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from xai_eval.result.fields import Field, Label, Mask, Table

if TYPE_CHECKING:
    from xai_eval.inputs.models.boxes import Box

# A corner moves by less than 1e-3 px under harmless changes of the arithmetic on a CPU.
_PIXELS = 1.0
_SCORE = 0.02
TOLERANCE = {"x0": _PIXELS, "y0": _PIXELS, "x1": _PIXELS, "y1": _PIXELS, "score": _SCORE}


def box_fields(box: Box, explained: Label, shape: tuple[int, int]) -> dict[str, Field]:
    """Return the box as a table and as the region of the input that it covers.

    Args:
        box: the box, in pixels of the model's input.
        explained: the class in it.
        shape: height and width of the input.
    """
    corners = dict(zip(("x0", "y0", "x1", "y1"), box.corners.tolist(), strict=True))
    row = {"class": str(explained), **corners, "score": box.score}
    return {"box": Table(pd.DataFrame([row]), TOLERANCE), "region": Mask(box.mask(*shape), least_iou=0.9)}
