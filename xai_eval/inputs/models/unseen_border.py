"""Find from gradients whether a layer looks at a part of the image alone, as behind a crop or a glimpse in the model.

A map of the layer is drawn over the whole image all the same. Pixels that were cut off have no gradient at all.
"""

from __future__ import annotations

import torch
from torch import Tensor


def unseen_border(output: Tensor, image: Tensor, grid: tuple[int, int]) -> str:
    """Say which part of an image of noise alone a layer sees, as a clause; empty if its border counts or is unknown.

    Convolutions with strides may leave out some rows of pixels at the border. What is said is wider than a place.

    Args:
        output: of the layer, with its graph of gradients if it has one.
        image: what the model was given, (1, channels, H, W).
        grid: number of rows and columns of the layer's places.
    """
    seen = _seen(output, image)
    if seen is None or not bool(seen.any()):
        return ""
    sides = [each.nonzero().flatten().tolist() for each in (seen.any(1), seen.any(0))]
    (top, bottom), (left, right) = ((side[0], side[-1] + 1) for side in sides)
    height, width = seen.shape
    borders = (max(top, height - bottom) * grid[0] / height, max(left, width - right) * grid[1] / width)
    if max(borders) <= 1:
        return ""
    return (
        f"of an image of noise it sees nothing but rows {top} to {bottom} of {height} and columns {left} to {right} of "
        f"{width}, as after a crop inside the model, which may be another one for each image"
    )


def _seen(output: Tensor, image: Tensor) -> Tensor | None:
    """Return which pixels a layer depends on, (H, W); None if no gradient tells."""
    if not (output.requires_grad and image.requires_grad):
        return None
    # Some sums over all channels, such as that of squares behind a norm, are the same whatever the image is.
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(output.shape, generator=generator, device="cpu").to(output)
    try:
        (gradient,) = torch.autograd.grad(output, image, weights, retain_graph=True, allow_unused=True)
    except RuntimeError:  # what the model computes has no gradient
        return None
    return None if gradient is None else (gradient[0] != 0).any(0).cpu()
