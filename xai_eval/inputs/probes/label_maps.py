"""Read label maps from PNG files: the stored numbers, not the colours of the palette."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decoding
from xai_eval.inputs.images.opened import open_image
from xai_eval.inputs.images.orientation import UPRIGHT
from xai_eval.inputs.images.to_rgb import SIXTEEN_BIT


def read_indices(path: Path) -> NDArray[np.int32]:
    """Read the class ids of a PNG with one channel of 1 to 16 bits, with or without a palette: int32 (H, W).

    Raises:
        InputUnavailable: the file is missing, damaged, or not such a PNG.
    """
    image, depth = _png(path, ("1", "L", "P", *SIXTEEN_BIT), "class ids in one channel (gray or palette)")
    with decoding(path):
        ids = np.asarray(image).astype(np.int32)
    # Pillow scales grey values of 2 and 4 bits to 0..255, which is undone here. It does not scale palette indices.
    return ids // (255 // (2**depth - 1)) if image.mode == "L" else ids


def read_red_green(path: Path) -> NDArray[np.int32]:
    """Read the label numbers of a PNG that stores them as red + 256 * green: int32 (H, W).

    Raises:
        InputUnavailable: the file is missing, damaged, or not such a PNG.
    """
    image, _ = _png(path, ("RGB",), "label numbers in red and green (RGB)")
    with decoding(path):
        pixels = np.asarray(image).astype(np.int32)
    return pixels[:, :, 0] + 256 * pixels[:, :, 1]


def check_aspect(where: str, labels: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Check that a label map and an image have the same aspect ratio, except for rounding.

    Args:
        where: where the labels come from, for the error.
        labels: height and width of the label map.
        image: height and width of the image.

    Raises:
        InputUnavailable: the aspect ratios differ.
    """
    # A side that was scaled and rounded is off by less than one pixel.
    if abs(labels[0] * image[1] - labels[1] * image[0]) >= max(image):
        raise InputUnavailable(
            f"{where}: labels of {labels[1]} x {labels[0]} pixels for an image of {image[1]} x {image[0]}; "
            "expected the same size or the same aspect, because labels are laid over the whole image. Check that "
            "they belong together, and that neither was cropped or turned."
        )


def listed(numbers: NDArray[np.int32]) -> str:
    """Return the six smallest different numbers as text for error messages."""
    different = np.unique(numbers).tolist()
    return ", ".join(map(str, different[:6])) + (", ..." if len(different) > 6 else "")


def _png(path: Path, modes: tuple[str, ...], expected: str) -> tuple[Image.Image, int]:
    """Open a PNG of some modes; return it with its bits per channel."""
    opened = open_image(path)
    if opened.image is None or opened.format != "PNG" or opened.image.mode not in modes:
        mode = "more than 8 bits per channel" if opened.image is None else f"mode {opened.image.mode}"
        raise InputUnavailable(
            f"{path} is a {opened.format} of {mode}; expected a PNG with {expected}. Save the numbers "
            "themselves in such a file."
        )
    if opened.orientation != UPRIGHT:
        raise InputUnavailable(
            f"{path} has EXIF orientation {opened.orientation}; expected none, because labels are laid over the image "
            "as they are stored. Turn it, and save it without this tag."
        )
    return opened.image, opened.essence.depth
