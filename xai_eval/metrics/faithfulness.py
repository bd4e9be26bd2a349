"""Deletion and insertion: measures whether the pixels that a map calls important matter to the model.

Both are from Petsiuk, Das and Saenko 2018 (RISE). Pixels are removed from the image, or added to a blurred image, in
the order of the map from the hottest to the coldest. The measure is the area under the curve of the explained class's
probability. A good map has a low deletion and a high insertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Pixels = NDArray[np.uint8]
Predict = Callable[["torch.Tensor"], "torch.Tensor"]

STEPS = 28
# Standard deviation of the blur as a share of the side: 11 pixels of 224. Then no object can be recognised.
_BLUR = 0.05
_BATCH = 32


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The curves of one map, from no pixel removed (or added) to all pixels.

    Attributes:
        deletion_curve: probability of the class as pixels are removed, (steps + 1,), in [0, 1].
        insertion_curve: probability of the class as pixels are added, (steps + 1,), in [0, 1].
    """

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


@dataclass(frozen=True, eq=False)
class Canvas:
    """What the curves show of an image: itself, its mean colour, and itself blurred; uint8 (h, w, 3) on a device.

    The curves of several maps of one image share it.
    """

    image: torch.Tensor
    plain: torch.Tensor
    blurred: torch.Tensor

    @classmethod
    def of(cls, pixels: Pixels, device: torch.device | str = "cpu") -> Self:
        """Prepare an image, uint8 (h, w, 3), for curves that are put together on a device."""
        import torch

        every = pixels, _mean_colour(pixels), _blurred(pixels)
        return cls(*(torch.from_numpy(each.copy()).to(device) for each in every))


def faithfulness(
    saliency: NDArray[np.floating[Any]], pixels: Pixels | Canvas, predict: Predict, label: int, steps: int = STEPS
) -> Faithfulness:
    """Compute the deletion and insertion curves of a map.

    Removed pixels get the mean colour of the image. Pixels that are not yet added show the blurred image, because sharp
    edges could make the model see something else. Pixels with equal values, as on superpixels, are taken in reading
    order.

    Args:
        saliency: the map, (h, w); only its order counts.
        pixels: the image as the model sees it, uint8 (h, w, 3), or its canvas.
        predict: computes probabilities (N, C) from images uint8 (N, h, w, 3).
        label: index of the explained class.
        steps: number of equal parts in which the pixels are removed or added.
    """
    order = np.argsort(-saliency.reshape(-1), kind="stable")
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size)
    hot = rank.reshape(saliency.shape)[None] < _taken(order.size, steps)[:, None, None]
    return _of_pixels(hot, pixels, predict, label)


def _taken(pixels: int, steps: int) -> NDArray[np.int64]:
    """Return how many pixels are removed or added at each point of the curves, (steps + 1,)."""
    return np.rint(np.linspace(0, pixels, steps + 1)).astype(np.int64)


def _of_pixels(hot: NDArray[np.bool_], pixels: Pixels | Canvas, predict: Predict, label: int) -> Faithfulness:
    """Return the points of both curves at which the pixels `hot`, bool (n, h, w), are removed or added."""
    import torch

    canvas = pixels if isinstance(pixels, Canvas) else Canvas.of(pixels)
    taken, image = torch.from_numpy(hot).to(canvas.image.device)[..., None], canvas.image
    views = torch.cat([torch.where(taken, canvas.plain, image), torch.where(taken, image, canvas.blurred)])
    parts = [predict(part)[:, label] for part in torch.split(views, _BATCH)]
    curve = torch.cat(parts).cpu().numpy().astype(np.float64)  # the device is waited for once
    return Faithfulness(curve[: len(hot)], curve[len(hot) :])


def area_under(curve: NDArray[np.float64]) -> float:
    """Return the area under a curve, (n,), over equal steps from 0 to 1, by the trapezoidal rule (scipy)."""
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
