"""From weights of superpixels to maps and masks, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Values = NDArray[np.floating[Any]]

# Of probabilities in single precision. On an image of one colour nothing but it is left, and scaled to 1 it would look
# like an explanation.
ROUNDING = 1e-7


def positive_map(weights: Values, segments: Labels) -> NDArray[np.float32]:
    """Paint what speaks for the class: weights (F,) above 0, divided by the largest, on their superpixels (h, w).

    All zero where no weight is above 0 by more than rounding.
    """
    positive = np.clip(weights, 0.0, None)
    most = float(positive.max())
    scaled = positive / most if most > ROUNDING else np.zeros_like(positive)
    painted: NDArray[np.float32] = scaled[segments].astype(np.float32)
    return painted


def best_superpixels(weights: Values, count: int) -> NDArray[np.intp]:
    """Return the numbers of the `count` superpixels with the largest weights, best first; none that is not above 0.

    What lime's `get_image_and_mask` shows with `positive_only`.
    """
    order = np.argsort(-weights, kind="stable")
    return order[weights[order] > ROUNDING][:count]


def mask_of(superpixels: NDArray[np.integer[Any]], segments: Labels) -> NDArray[np.bool_]:
    """Return the pixels of some superpixels, (h, w)."""
    return np.isin(segments, superpixels)


def mask_of_area(weights: Values, segments: Labels, share: float) -> NDArray[np.bool_]:
    """Return the best superpixels that come nearest to `share` (0 to 1) of the image, at least one.

    Only superpixels with a weight above 0 count, so the mask is smaller where those do not cover the share, and empty
    where there are none.
    """
    order = best_superpixels(weights, len(weights))
    covered = np.cumsum(np.bincount(segments.reshape(-1), minlength=len(weights))[order])
    if not len(covered):
        return np.zeros(segments.shape, dtype=bool)
    taken = int(np.argmin(np.abs(covered - share * segments.size))) + 1
    return mask_of(order[:taken], segments)


def superpixel_means(saliency: Values, segments: Labels) -> NDArray[np.float64]:
    """Average a map (h, w) over each superpixel, (F,)."""
    flat = segments.reshape(-1)
    sums = np.bincount(flat, weights=saliency.reshape(-1).astype(np.float64))
    return np.asarray(sums / np.bincount(flat))
