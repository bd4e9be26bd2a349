"""Two explanations of one prediction, held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name
from xai_eval.metrics.geometry import centre_distance
from xai_eval.metrics.localisation import hottest
from xai_eval.metrics.overlap import chance_iou, dice, iou_beyond_chance
from xai_eval.metrics.superpixels import mask_of_area, positive_map, superpixel_means
from xai_eval.result.map_similarity import iou

BoolMask = NDArray[np.bool_]
EQUAL_AREA, HALF, OTSU = "equal_area", "half", "otsu"
POLICIES = (EQUAL_AREA, HALF, OTSU)
DEFAULT_AREA = 0.2


@dataclass(frozen=True)
class MaskPolicy:
    """How maps become masks.

    Attributes:
        name: `equal_area` takes the superpixels with the largest weights that come nearest to `area`, and as many of
            the hottest pixels; `half` takes what is above 0.5 in a map scaled to [0, 1]; `otsu` what is above the
            threshold of Otsu 1979.
        area: share of the image, for `equal_area`.
    """

    name: str = EQUAL_AREA
    area: float = DEFAULT_AREA

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise unknown_name("mask policy", self.name, POLICIES)
        if not isinstance(self.area, int | float) or not 0.0 < self.area < 1.0:
            raise UsageError(f"area of the mask policy is {self.area!r}; expected a share between 0 and 1.")


@dataclass(frozen=True, eq=False)
class CamExplanation:
    """Grad-CAM of one class: map (H, W) in [0, 1]."""

    label: int
    saliency: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class LimeWeights:
    """LIME of one class: weights (F,) of the superpixels (H, W)."""

    label: int
    weights: NDArray[np.float64]
    segments: NDArray[np.int64]

    @property
    def saliency(self) -> NDArray[np.float32]:
        """The weights above 0, painted and scaled to [0, 1], (H, W)."""
        return positive_map(self.weights, self.segments)


@dataclass(frozen=True, eq=False)
class MapAgreement:
    """What two explanations share.

    Attributes:
        cam_mask: what Grad-CAM points at, (H, W).
        lime_mask: what LIME points at, (H, W).
        iou: of the two masks, in [0, 1].
        dice: of the two masks, in [0, 1].
        iou_beyond_chance: at most 1; 0 for what chance would give masks of these areas.
        rank_correlation: Spearman's, of Grad-CAM's mean on each superpixel with its weight, in [-1, 1].
        centre_distance: of the two maps, as a share of the diagonal, in [0, 1].
    """

    cam_mask: BoolMask
    lime_mask: BoolMask
    iou: float
    dice: float
    iou_beyond_chance: float
    rank_correlation: float
    centre_distance: float


def compare(cam: CamExplanation, lime: LimeWeights, policy: MaskPolicy) -> MapAgreement:
    """Compare Grad-CAM with LIME.

    Raises:
        UsageError: they explain different classes, or images of different sizes: their overlap would be read as
            agreement of methods, and is none.
    """
    if cam.label != lime.label:
        raise UsageError(
            f"Grad-CAM explains class {cam.label} and LIME class {lime.label}; their overlap would compare two "
            "questions, not two methods. Explain the same class with both."
        )
    if cam.saliency.shape != lime.segments.shape:
        raise UsageError(
            f"Grad-CAM's map is {cam.saliency.shape} and LIME's superpixels are {lime.segments.shape}; expected one "
            "shape. Explain the same view of the image with both."
        )
    cam_mask, lime_mask = masks(cam, lime, policy)
    return MapAgreement(
        cam_mask,
        lime_mask,
        iou(cam_mask, lime_mask),
        dice(cam_mask, lime_mask),
        iou_beyond_chance(cam_mask, lime_mask),
        superpixel_correlation(cam, lime),
        centre_distance(cam.saliency, lime.saliency),
    )


def masks(cam: CamExplanation, lime: LimeWeights, policy: MaskPolicy) -> tuple[BoolMask, BoolMask]:
    """Return Grad-CAM's and LIME's mask; empty where a map holds nothing to point at."""
    if policy.name == EQUAL_AREA:
        lime_mask = mask_of_area(lime.weights, lime.segments, policy.area)
        return hottest(cam.saliency, int(lime_mask.sum())), lime_mask
    above = _THRESHOLDS[policy.name]
    return cam.saliency > above(cam.saliency), lime.saliency > above(lime.saliency)


def area_sweep(cam: CamExplanation, lime: LimeWeights, areas: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
    """IoU at equal area over a sweep of areas, and the IoU that chance gives the same two masks, (n,) each."""
    pairs = [masks(cam, lime, MaskPolicy(EQUAL_AREA, float(area))) for area in areas]
    return {
        "IoU": np.array([iou(*pair) for pair in pairs]),
        "by chance": np.array([chance_iou(int(a.sum()), int(b.sum()), a.size) for a, b in pairs]),
    }


def superpixel_correlation(cam: CamExplanation, lime: LimeWeights) -> float:
    """Spearman's correlation of Grad-CAM's mean on each superpixel with its weight; NaN where either is flat."""
    from scipy.stats import spearmanr

    means = superpixel_means(cam.saliency, lime.segments)
    if np.ptp(means) == 0 or np.ptp(lime.weights) == 0:
        return float("nan")
    return float(spearmanr(means, lime.weights).statistic)


def _otsu(saliency: NDArray[np.floating[Any]]) -> float:
    import skimage.filters

    flat = np.ptp(saliency) == 0
    return float(saliency.max()) if flat else float(skimage.filters.threshold_otsu(saliency))


_THRESHOLDS: Mapping[str, Callable[[NDArray[Any]], float]] = {HALF: lambda _: 0.5, OTSU: _otsu}
