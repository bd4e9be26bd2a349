"""What an explanation points at, and what two of them together tell: in words, by stated thresholds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.geometry import blobs, centre_of_mass

BoolMask = NDArray[np.bool_]

# A concept is named if it covers this share of the hot area, and at most three are.
LEAST_SHARE = 0.1
_NAMED = 3
# IoU beyond chance from which on two masks show the same place, and up to which they show different ones.
SAME_PLACE, OTHER_PLACE = 0.5, 0.2
LEAST_R2 = 0.5
# IoU with the object by which one method must lead before it is said to.
CLEAR_LEAD = 0.1


def concept_shares(mask: BoolMask, concepts: Mapping[str, BoolMask]) -> dict[str, float]:
    """Share of a hot area (h, w) that each concept covers, in [0, 1]; NaN for an empty area."""
    area = int(mask.sum())
    return {name: float((mask & seen).sum()) / area if area else float("nan") for name, seen in concepts.items()}


def focus(mask: BoolMask, concepts: Mapping[str, BoolMask]) -> str:
    """Say what a hot area (h, w) covers: concepts with their shares where they are known, else where it lies."""
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
    """Say what a comparison tells.

    Args:
        iou_beyond_chance: of the two masks.
        r2: local R2 of LIME's surrogate.
        object_ious: IoU of Grad-CAM and of LIME with the object at equal area, where its mask is known.
        audit: what the target audit says.
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
