"""How much an explanation depends on the seed of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.superpixels import best_superpixels, mask_of
from xai_eval.result.map_similarity import iou

TOP = 5


@dataclass(frozen=True, eq=False)
class Stability:
    """One explanation under k seeds.

    Attributes:
        mean: mean weight of each superpixel, (F,).
        spread: standard deviation of one seed's weight, (F,); NaN for a single seed.
        overlaps: IoU of the masks of the best five superpixels, for each pair of seeds.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    overlaps: tuple[float, ...]

    @property
    def overlap(self) -> float:
        """Mean IoU over the pairs; NaN for a single seed."""
        return float(np.mean(self.overlaps)) if self.overlaps else float("nan")

    @property
    def least_overlap(self) -> float:
        """IoU of the two seeds that differ most; NaN for a single seed."""
        return min(self.overlaps, default=float("nan"))


def stability(weights: NDArray[np.float64], segments: NDArray[np.int64]) -> Stability:
    """Measure weights (k, F) of one class under k seeds, on superpixels (h, w)."""
    masks = [mask_of(best_superpixels(each, TOP), segments) for each in weights]
    spread = weights.std(axis=0, ddof=1) if len(weights) > 1 else np.full(weights.shape[1], np.nan)
    return Stability(weights.mean(axis=0), spread, tuple(iou(a, b) for a, b in combinations(masks, 2)))
