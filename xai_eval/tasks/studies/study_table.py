"""The published table that ours can be laid beside: IoU of Grad-CAM and LIME on the ten photographs of the study."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache

from xai_eval.inputs.downloads import bundled


@cache
def study_ious() -> Mapping[str, float]:
    """IoU by class name, in the order of the table.

    The study states an average of 0.3289; the mean of its rows is 0.288.

    Raises:
        InputUnavailable: the bundled table is missing or was changed.
    """
    with bundled("study_table").open(newline="", encoding="utf-8") as file:
        return {row["image"].replace("_", " "): float(row["iou"]) for row in csv.DictReader(file)}
