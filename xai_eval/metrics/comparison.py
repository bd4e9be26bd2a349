"""Measures how far Grad-CAM and LIME agree when they explain the same class of the same image."""

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
    """The rule that turns maps into masks.

    Attributes:
        name: `equal_area`, `half` or `otsu`. `equal_area` takes the superpixels with the largest weights whose area is
            nearest to `area`, and equally many of the hottest pixels of Grad-CAM. `half` takes the pixels above 0.5 in
            a map scaled to [0, 1]. `otsu` takes the pixels above the threshold of Otsu 1979 (by scikit-image).
        area: share of the image that a mask covers under `equal_area`, between 0 and 1.

    Raises:
        UsageError: the name is unknown, or the area is not between 0 and 1.
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
    """Grad-CAM's explanation of one class.

    Attributes:
        label: index of the class.
        saliency: the map, (H, W), in [0, 1].
    """

    label: int
    saliency: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class LimeWeights:
    """LIME's explanation of one class.

    Attributes:
        label: index of the class.
        weights: weights of the F superpixels, (F,).
        segments: number of the superpixel of each pixel, (H, W).
    """

    label: int
    weights: NDArray[np.float64]
    segments: NDArray[np.int64]

    @property
    def saliency(self) -> NDArray[np.float32]:
        """The positive weights painted on their superpixels and scaled to [0, 1], (H, W)."""
        return positive_map(self.weights, self.segments)


@dataclass(frozen=True, eq=False)
class MapAgreement:
    """How far two explanations agree.

    Attributes:
        cam_mask: the pixels that Grad-CAM points at, bool (H, W).
        lime_mask: the pixels that LIME points at, bool (H, W).
        iou: intersection over union of the two masks, in [0, 1]; higher is more agreement.
        dice: Dice coefficient of the two masks, in [0, 1]; higher is more agreement.
        iou_beyond_chance: IoU corrected for chance, in [-1, 1]; 0 is what random masks of these areas share, and higher
            is more agreement.
        rank_correlation: Spearman's correlation of Grad-CAM's mean on each superpixel with the weight of the
            superpixel, in [-1, 1]; higher is more agreement.
        centre_distance: distance of the centres of mass of the two maps as a share of the image's diagonal, in [0, 1];
            lower is more agreement.
    """

    cam_mask: BoolMask
    lime_mask: BoolMask
    iou: float
    dice: float
    iou_beyond_chance: float
    rank_correlation: float
    centre_distance: float


def compare(cam: CamExplanation, lime: LimeWeights, policy: MaskPolicy) -> MapAgreement:
    """Compare the explanations of Grad-CAM and LIME.

    Raises:
        UsageError: they explain different classes, or images of different sizes. Their overlap would then say nothing
            about how far the methods agree.
    """
    if cam.label != lime.label:
        raise UsageError(
            f"Grad-CAM explains class {cam.label} and LIME class {lime.label}; their overlap would say "
            "nothing about the two methods. Explain the same class with both."
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
    """Return the masks of Grad-CAM and LIME, bool (H, W) each. A mask is empty if its map points at nothing."""
    if policy.name == EQUAL_AREA:
        lime_mask = mask_of_area(lime.weights, lime.segments, policy.area)
        return hottest(cam.saliency, int(lime_mask.sum())), lime_mask
    above = _THRESHOLDS[policy.name]
    return cam.saliency > above(cam.saliency), lime.saliency > above(lime.saliency)


def area_sweep(cam: CamExplanation, lime: LimeWeights, areas: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
    """Return the IoU of the masks for several areas, and the IoU expected by chance.

    Args:
        cam: the explanation of Grad-CAM.
        lime: the explanation of LIME.
        areas: n shares of the image, between 0 and 1.

    Returns:
        `IoU` and `by chance`, (n,) each, in [0, 1].
    """
    pairs = [masks(cam, lime, MaskPolicy(EQUAL_AREA, float(area))) for area in areas]
    return {
        "IoU": np.array([iou(*pair) for pair in pairs]),
        "by chance": np.array([chance_iou(int(a.sum()), int(b.sum()), a.size) for a, b in pairs]),
    }


def superpixel_correlation(cam: CamExplanation, lime: LimeWeights) -> float:
    """Correlate Grad-CAM's mean on each superpixel with the weight of the superpixel (Spearman, by scipy).

    The result lies in [-1, 1], and higher is more agreement. It is NaN if all means or all weights are equal.
    """
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
