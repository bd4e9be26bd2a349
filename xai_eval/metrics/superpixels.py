"""Turns weights of superpixels into maps and masks, and maps into means on superpixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Values = NDArray[np.floating[Any]]

# Weights up to this are rounding of probabilities in single precision. On an image of one colour all weights are
# rounding, and would look like an explanation if they were scaled to 1.
ROUNDING = 1e-7


def positive_map(weights: Values, segments: Labels) -> NDArray[np.float32]:
    """Return the positive weights painted on their superpixels and divided by the largest, (h, w), in [0, 1].

    The map is zero everywhere if no weight is larger than `ROUNDING`.

    Args:
        weights: weights of the superpixels, (F,).
        segments: number of the superpixel of each pixel, (h, w).
    """
    positive = np.clip(weights, 0.0, None)
    most = float(positive.max())
    scaled = positive / most if most > ROUNDING else np.zeros_like(positive)
    painted: NDArray[np.float32] = scaled[segments].astype(np.float32)
    return painted


def best_superpixels(weights: Values, count: int) -> NDArray[np.intp]:
    """Return the numbers of the `count` superpixels with the largest weights, (F,), best first.

    Only positive weights count. They are the superpixels that lime's `get_image_and_mask` shows with `positive_only`.
    """
    order = np.argsort(-weights, kind="stable")
    return order[weights[order] > ROUNDING][:count]


def mask_of(superpixels: NDArray[np.integer[Any]], segments: Labels) -> NDArray[np.bool_]:
    """Return the mask of the given superpixels, bool (h, w)."""
    return np.isin(segments, superpixels)


def mask_of_area(weights: Values, segments: Labels, share: float) -> NDArray[np.bool_]:
    """Return the mask, bool (h, w), of the best superpixels whose area is nearest to a share of the image.

    Only superpixels with positive weights count. The mask holds at least one of them, is smaller if all of them cover
    less than the share, and is empty if there are none.

    Args:
        weights: weights of the superpixels, (F,).
        segments: number of the superpixel of each pixel, (h, w).
        share: share of the image, from 0 to 1.
    """
    order = best_superpixels(weights, len(weights))
    covered = np.cumsum(np.bincount(segments.reshape(-1), minlength=len(weights))[order])
    if not len(covered):
        return np.zeros(segments.shape, dtype=bool)
    taken = int(np.argmin(np.abs(covered - share * segments.size))) + 1
    return mask_of(order[:taken], segments)


def superpixel_means(saliency: Values, segments: Labels) -> NDArray[np.float64]:
    """Return the mean of a map, (h, w), on each superpixel, (F,)."""
    flat = segments.reshape(-1)
    sums = np.bincount(flat, weights=saliency.reshape(-1).astype(np.float64))
    return np.asarray(sums / np.bincount(flat))
