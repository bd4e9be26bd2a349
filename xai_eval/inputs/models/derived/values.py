"""Measure how a preprocessing turns colours into numbers, and compute it forwards and backwards.

A preprocessing that scales and normalises is affine: every prepared pixel is a matrix times its red, green and blue,
plus an offset. Both are measured on images of one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xai_eval.inputs.models.derived.called import NotDerived, Prepare

Floats = NDArray[np.float64]

# The size of the test images: the square that `prepared_shape` uses, too.
_SIDE = 256
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_PURE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
_SHIFT = 60
_TRIED = ((_SHIFT,) * 3, (128,) * 3, (230,) * 3, (200, 30, 90), (20, 180, 240))
# Rounding to whole grey levels: once for one colour, and once more in each direction of a resize.
_ROUNDING_OF_COLOURS = 1.5
_ROUNDING_OF_RESIZED = 3.0
# Whether the measured matrix has a rank of 1: rounding to whole grey levels is below this share of its norm.
_SAME_DIRECTION = 0.02
_SQUARE = 3


@dataclass(frozen=True, eq=False)
class Values:
    """Prepared values are `matrix @ rgb + offset`, for red, green and blue from 0 to 255.

    Attributes:
        matrix: (C, 3); of rank 3, or of rank 1 if the model sees grey images.
        offset: (C,).
        dtype: type of the prepared tensor.
    """

    matrix: Floats
    offset: Floats
    dtype: torch.dtype

    @property
    def grey(self) -> bool:
        """Whether only one mixture of red, green and blue reaches the model. The view is then a grey image."""
        return _rank(self.matrix) == 1

    @property
    def level(self) -> Floats:
        """How much each channel changes at most if colours change by one grey level, (C,)."""
        return np.asarray(np.abs(self.matrix).sum(axis=1))

    @property
    def _of_grey(self) -> Floats:
        return np.asarray(self.matrix.sum(axis=1))

    @cached_property
    def _inverse(self) -> Floats:
        return np.asarray(np.linalg.pinv(self.matrix))

    def forwards(self, views: torch.Tensor) -> torch.Tensor:
        """Compute the model's input (N, C, H, W) from views, uint8 (N, H, W, 3), on the device of the views."""
        planes = views.permute(0, 3, 1, 2).to(torch.float64 if self.dtype is torch.float64 else torch.float32)
        # A product of matrices would be rounded on GPUs, and most of its terms are 0.
        channels = [torch.full_like(planes[:, 0], first) for first in self.offset.tolist()]
        for channel, row in zip(channels, self.matrix.tolist(), strict=True):
            for colour, weight in enumerate(row):
                if weight:
                    channel.add_(planes[:, colour], alpha=weight)
        values = torch.stack(channels, dim=1)
        return (values if self.dtype.is_floating_point else values.round()).to(self.dtype)

    def backwards(self, tensor: torch.Tensor) -> Floats:
        """Compute the colours of a prepared image (C, H, W), not rounded: (H, W, 3)."""
        if self.grey:
            return np.repeat(self.brightness(tensor)[:, :, None], 3, axis=2)
        return np.asarray(np.einsum("jc,chw->hwj", self._inverse, self._centred(tensor)))

    def brightness(self, tensor: torch.Tensor) -> Floats:
        """Compute the grey level of each pixel of a prepared grey image (C, H, W): (H, W)."""
        grey = self._of_grey
        return np.asarray(np.einsum("c,chw->hw", grey, self._centred(tensor)) / (grey @ grey))

    def describe(self) -> dict[str, Any]:
        """Return matrix and offset as JSON values, six digits each."""
        return {
            "matrix": [[_digits(value) for value in row] for row in self.matrix.tolist()],
            "offset": [_digits(value) for value in self.offset.tolist()],
            "dtype": str(self.dtype),
        }

    def _centred(self, tensor: torch.Tensor) -> Floats:
        return _numpy(tensor) - self.offset[:, None, None]


def measure_values(prepare: Prepare) -> Values:
    """Measure the matrix and the offset of a preprocessing, and check that they predict other colours and images.

    Raises:
        NotDerived: the values are no affine function of the colours (as after a gamma correction or an equalised
            histogram), or two of three colour channels remain.
    """
    white = prepare(_plain(_WHITE))
    black, bright = _numpy(prepare(_plain(_BLACK))), _numpy(white)
    shown = _where_image_is(black, bright)
    offset = _typical(black, shown)
    columns = [_typical(_numpy(prepare(_plain(colour))), shown) - offset for colour in _PURE]
    matrix = _consistent(np.stack(columns, axis=1) / 255.0, (_typical(bright, shown) - offset) / 255.0)
    values = Values(matrix, offset, white.dtype)
    _check_colours(prepare, values, shown)
    _check_structured(prepare, values, black)
    return values


def _where_image_is(black: Floats, white: Floats) -> NDArray[np.bool_]:
    """Tell which pixels show the image, (H, W), and not a border of a fixed colour around it."""
    if black.shape != white.shape:
        raise NotDerived("it gives tensors of different shapes for images of one size")
    if not (np.isfinite(black).all() and np.isfinite(white).all()):
        raise NotDerived(
            "an image of one colour gets NaN or infinity, as when the values of an image are divided by their own "
            "standard deviation"
        )
    change = np.abs(white - black).max(axis=0)
    if change.max() == 0:
        raise NotDerived("a black and a white image give the same tensor")
    return np.asarray(change > 0.99 * change.max())


def _typical(tensor: Floats, shown: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.median(tensor[:, shown], axis=1))


def _consistent(matrix: Floats, of_grey: Floats) -> Floats:
    """Return a matrix of rank 3 as it is, and one of rank 1 scaled such that grey images get their exact values."""
    rank = _rank(matrix)
    if rank == 1 and np.abs(of_grey).max() > 0:
        weights = matrix.T @ of_grey
        return np.outer(of_grey, weights / weights.sum())
    if rank != _SQUARE:
        raise NotDerived(f"its values keep {rank} of the three colour channels, from which no image can be made")
    return matrix


def _rank(matrix: Floats) -> int:
    lengths = np.linalg.svd(matrix, compute_uv=False)
    return int((lengths > _SAME_DIRECTION * lengths[0]).sum())


def _check_colours(prepare: Prepare, values: Values, shown: NDArray[np.bool_]) -> None:
    for colour in _TRIED:
        found = _typical(_numpy(prepare(_plain(colour))), shown)
        expected = values.matrix @ np.array(colour, dtype=np.float64) + values.offset
        if (np.abs(found - expected) > _ROUNDING_OF_COLOURS * values.level).any():
            raise NotDerived(
                f"its values are not proportional to the colours (an image of the colour {colour} gives "
                f"{_rounded(found)}, and {_rounded(expected)} would be proportional), as after a gamma correction"
            )


def _check_structured(prepare: Prepare, values: Values, black: Floats) -> None:
    """Check that halving the contrast of an image halves that of its tensor."""
    half = _soft_noise()
    contrast = _numpy(prepare(Image.fromarray(2 * half))) - black
    lowered = _numpy(prepare(Image.fromarray(half + np.uint8(_SHIFT)))) - _numpy(prepare(_plain((_SHIFT,) * 3)))
    allowed = _ROUNDING_OF_RESIZED * values.level[:, None, None]
    if contrast.shape != lowered.shape or (np.abs(contrast / 2 - lowered) > allowed).any():
        raise NotDerived(
            "the value of a pixel depends on the rest of the image, as after equalising its histogram or scaling it "
            "by its own mean"
        )


def _soft_noise() -> NDArray[np.uint8]:
    """Return smooth coloured noise from 32 to 95, uint8 (256, 256, 3); no filter exceeds the range of bytes on it."""
    coarse = np.random.RandomState(0).randint(32, 96, (8, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))


def _plain(colour: Sequence[int]) -> Image.Image:
    red, green, blue = colour
    return Image.new("RGB", (_SIDE, _SIDE), (red, green, blue))


def _numpy(tensor: torch.Tensor) -> Floats:
    return np.asarray(tensor.cpu().double().numpy())


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.3g}") for value in values.tolist()]
