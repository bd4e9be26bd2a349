"""Measures how much an explanation depends on the seed of its random samples."""

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
    """The weights of F superpixels under several seeds.

    Attributes:
        mean: mean weight of each superpixel over the seeds, (F,).
        spread: standard deviation of each weight over the seeds, (F,); NaN for a single seed. Lower is more stable.
        overlaps: IoU of the masks of the best five superpixels for each pair of seeds, in [0, 1].
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    overlaps: tuple[float, ...]

    @property
    def overlap(self) -> float:
        """Mean IoU over all pairs of seeds, in [0, 1]; higher is more stable. NaN for a single seed."""
        return float(np.mean(self.overlaps)) if self.overlaps else float("nan")

    @property
    def least_overlap(self) -> float:
        """IoU of the two seeds that differ most, in [0, 1]; higher is more stable. NaN for a single seed."""
        return min(self.overlaps, default=float("nan"))


def stability(weights: NDArray[np.float64], segments: NDArray[np.int64]) -> Stability:
    """Measure the stability of the weights of one class.

    Args:
        weights: weights of F superpixels under k seeds, (k, F).
        segments: number of the superpixel of each pixel, (h, w).
    """
    masks = [mask_of(best_superpixels(each, TOP), segments) for each in weights]
    spread = weights.std(axis=0, ddof=1) if len(weights) > 1 else np.full(weights.shape[1], np.nan)
    return Stability(weights.mean(axis=0), spread, tuple(iou(a, b) for a, b in combinations(masks, 2)))
