"""What the agreement of Grad-CAM and LIME could have been if rounding had moved the two explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.comparison import _THRESHOLDS, EQUAL_AREA, CamExplanation, LimeWeights, MaskPolicy
from xai_eval.metrics.overlap import chance_iou
from xai_eval.metrics.superpixels import superpixel_means
from xai_eval.result.fields.possible import Possible
from xai_eval.tasks.ties.bounds import (
    Bounds,
    above,
    area_bounds,
    hottest_bounds,
    possible_iou,
    possible_rank_correlation,
)


@dataclass(frozen=True, eq=False)
class PossibleAgreement:
    """What the measures that jump could have been if rounding had moved the two explanations.

    Attributes:
        cam_mask: bounds of the mask of Grad-CAM.
        lime_mask: bounds of the mask of LIME.
        measures: smallest and largest value, by name of the measure.
    """

    cam_mask: Bounds
    lime_mask: Bounds
    measures: Mapping[str, Possible]


def possible_agreement(
    cam: CamExplanation, lime: LimeWeights, policy: MaskPolicy, rounding: float
) -> PossibleAgreement:
    """Return what could have been found in place of `compare`; see `bounds` for `rounding`."""
    cam_mask, lime_mask = mask_bounds(cam, lime, policy, rounding)
    shared = possible_iou(cam_mask, lime_mask)
    means = superpixel_means(cam.saliency, lime.segments)
    measures = {
        "iou": shared,
        "dice": Possible(*(2.0 * each / (1.0 + each) for each in (shared.low, shared.high))),
        "iou_beyond_chance": _beyond_chance(shared, cam_mask, lime_mask),
        "rank_correlation": possible_rank_correlation(means, lime.weights, rounding),
    }
    return PossibleAgreement(cam_mask, lime_mask, measures)


def _beyond_chance(shared: Possible, first: Bounds, second: Bounds) -> Possible:
    """Correct the bounds of an IoU for chance, which gives most to the largest masks."""
    pixels = first.surely.size
    by_chance = {chance_iou(a, b, pixels) for a in _areas(first) for b in _areas(second)}
    if max(by_chance) > 1.0 - 1e-12:
        return Possible(float("nan"), float("nan"))
    found = [max((each - chance) / (1.0 - chance), -1.0) for each in (shared.low, shared.high) for chance in by_chance]
    return Possible(min(found), max(found))


def _areas(mask: Bounds) -> tuple[int, int]:
    """Return the smallest and the largest area of a mask; one that may have pixels is not taken for an empty one."""
    most = int(mask.maybe.sum())
    return max(int(mask.surely.sum()), min(most, 1)), most


def mask_bounds(cam: CamExplanation, lime: LimeWeights, policy: MaskPolicy, rounding: float) -> tuple[Bounds, Bounds]:
    """Return the bounds of the masks of Grad-CAM and LIME."""
    if policy.name == EQUAL_AREA:
        lime_mask = area_bounds(lime.weights, lime.segments, policy.area, rounding)
        areas = int(lime_mask.surely.sum()), int(lime_mask.maybe.sum())
        return hottest_bounds(cam.saliency, *areas, rounding), lime_mask
    threshold = _THRESHOLDS[policy.name]
    found = [above(each.saliency, threshold(each.saliency), rounding) for each in (cam, lime)]
    return found[0], found[1]


def possible_sweep(
    cam: CamExplanation, lime: LimeWeights, areas: NDArray[np.float64], rounding: float
) -> Mapping[str, tuple[Possible, ...]]:
    """Return what could have been found in place of `area_sweep`, for each area."""
    pairs = [mask_bounds(cam, lime, MaskPolicy(EQUAL_AREA, float(area)), rounding) for area in areas]
    areas_of = [zip(_areas(first), _areas(second), strict=True) for first, second in pairs]
    chances = [[chance_iou(first, second, cam.saliency.size) for first, second in each] for each in areas_of]
    return {
        "IoU": tuple(possible_iou(*pair) for pair in pairs),
        "by chance": tuple(Possible(min(each), max(each)) for each in chances),
    }
