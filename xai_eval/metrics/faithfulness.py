"""Deletion and insertion: does what a map calls important matter to the model?

Petsiuk, Das and Saenko 2018 (RISE). Pixels are taken away, or put back, from the hottest to the coldest, and the area
under the curve of the explained class's probability is read off. A good map has a low deletion and a high insertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]
Predict = Callable[["torch.Tensor"], "torch.Tensor"]

STEPS = 28
_BLUR = 0.05  # standard deviation as a share of the side: 11 pixels of 224, in which no object is recognised
_BATCH = 32


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Both curves of one map, from nothing taken (or put back) to everything, (steps + 1,) each."""

    deletion_curve: NDArray[np.float64]
    insertion_curve: NDArray[np.float64]

    @property
    def deletion(self) -> float:
        """Area under the deletion curve, in [0, 1]; lower is better."""
        return area_under(self.deletion_curve)

    @property
    def insertion(self) -> float:
        """Area under the insertion curve, in [0, 1]; higher is better."""
        return area_under(self.insertion_curve)


def faithfulness(
    saliency: NDArray[np.floating[Any]], pixels: Pixels, predict: Predict, label: int, steps: int = STEPS
) -> Faithfulness:
    """Measure a map (h, w) of the class `label` on the image (h, w, 3) that the model sees.

    What is deleted shows the image's mean colour; what is not yet inserted shows the image blurred, so that no
    sharp edges invite the model to see something else. Ties, as on superpixels, are taken in reading order.

    Args:
        saliency: the map; only its order counts.
        pixels: uint8.
        predict: from views, uint8 (N, h, w, 3), to probabilities (N, C).
        label: index of the class.
        steps: number of equal parts in which pixels are taken.
    """
    import torch

    order = np.argsort(-saliency.reshape(-1), kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    taken = np.rint(np.linspace(0, order.size, steps + 1)).astype(np.int64)
    hot = torch.from_numpy(rank.reshape(saliency.shape)[None] < taken[:, None, None])[..., None]
    image, plain, blurred = map(torch.from_numpy, (pixels.copy(), _mean_colour(pixels), _blurred(pixels)))
    views = torch.cat([torch.where(hot, plain, image), torch.where(hot, image, blurred)])
    parts = [predict(part)[:, label].cpu().numpy() for part in torch.split(views, _BATCH)]
    curve = np.concatenate(parts).astype(np.float64)
    return Faithfulness(curve[: steps + 1], curve[steps + 1 :])


def area_under(curve: NDArray[np.float64]) -> float:
    """Area under a curve over equal steps from 0 to 1, by the trapezoidal rule."""
    from scipy.integrate import trapezoid

    return float(trapezoid(curve, dx=1.0 / (len(curve) - 1)))


def _mean_colour(pixels: Pixels) -> Pixels:
    plain = np.empty_like(pixels)
    plain[:] = np.rint(pixels.reshape(-1, 3).mean(axis=0))
    return plain


def _blurred(pixels: Pixels) -> Pixels:
    import skimage.filters

    sigma = _BLUR * min(pixels.shape[:2])
    blurred = skimage.filters.gaussian(pixels, sigma=sigma, channel_axis=-1, preserve_range=True)
    return np.asarray(np.rint(np.clip(blurred, 0, 255)), dtype=np.uint8)
