"""Describes in words what an explanation points at, and what the comparison of two explanations shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.geometry import blobs, centre_of_mass

BoolMask = NDArray[np.bool_]

# A concept is named if it covers at least this share of the hot area. At most three concepts are named.
LEAST_SHARE = 0.1
_NAMED = 3
# Two masks show the same place if their IoU beyond chance is at least the first, and different places if it is at most
# the second.
SAME_PLACE, OTHER_PLACE = 0.5, 0.2
# Below this local R2 the surrogate of LIME is said to fit poorly.
LEAST_R2 = 0.5
# One method is said to lie nearer the object if its IoU with the object is larger by at least this.
CLEAR_LEAD = 0.1


def concept_shares(mask: BoolMask, concepts: Mapping[str, BoolMask]) -> dict[str, float]:
    """Return the share of a hot area that each concept covers, in [0, 1]; NaN for an empty area.

    Args:
        mask: the hot area, bool (h, w).
        concepts: masks of the concepts, bool (h, w), by name.
    """
    area = int(mask.sum())
    return {name: float((mask & seen).sum()) / area if area else float("nan") for name, seen in concepts.items()}


def focus(mask: BoolMask, concepts: Mapping[str, BoolMask]) -> str:
    """Describe a hot area: the concepts that it covers, with their shares, or its position if none are known.

    Args:
        mask: the hot area, bool (h, w).
        concepts: masks of the concepts, bool (h, w), by name; may be empty.
    """
    if not mask.any():
        return "nothing"
    if not concepts:
        return _place(mask)
    shares = sorted(concept_shares(mask, concepts).items(), key=lambda pair: (-pair[1], pair[0]))
    named = [f"{name} {share:.0%}" for name, share in shares[:_NAMED] if share >= LEAST_SHARE]
    return ", ".join(named) or "none of the known concepts"


def insight(
    iou_beyond_chance: float, r2: float, object_ious: tuple[float, float] | None = None, audit: str | None = None
) -> str:
    """Describe in a sentence what a comparison of Grad-CAM and LIME shows.

    Args:
        iou_beyond_chance: IoU of the two masks, corrected for chance; NaN if it is undefined.
        r2: local R2 of LIME's surrogate, at most 1.
        object_ious: IoU of Grad-CAM and of LIME with the object at equal area; None if the mask of the object is
            unknown.
        audit: sentence on how intended, predicted and explained class differ; None if they agree.
    """
    parts = [_agreement(iou_beyond_chance)]
    if object_ious is not None:
        lead = object_ious[0] - object_ious[1]
        if abs(lead) >= CLEAR_LEAD:
            parts.append(f"{'Grad-CAM' if lead > 0 else 'LIME'} lies nearer the object")
    if r2 < LEAST_R2:
        parts.append("LIME's surrogate fits poorly")
    if audit is not None:
        parts.append("the explained class is in doubt")
    return "; ".join(parts)


def _agreement(value: float) -> str:
    if np.isnan(value):
        return "one of the masks says nothing"
    if value >= SAME_PLACE:
        return "both point at the same place"
    return "they share a part" if value > OTHER_PLACE else "they point at different places"


def _place(mask: BoolMask) -> str:
    centre, parts = centre_of_mass(mask), blobs(mask)
    assert centre is not None
    middle = f"centre {centre.across:.0%} from the left, {centre.down:.0%} from the top"
    return f"{middle}; {mask.mean():.0%} of the image in {parts} {'blob' if parts == 1 else 'blobs'}"
