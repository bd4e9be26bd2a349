"""Images of more than 8 bits per channel: the numbers of the file, and how they become 8 bits.

Pillow keeps 16 bits of grey images only, and does not look at the tags of a TIFF that say how numbers are meant. So
TIFF files are read by tifffile where it can, and by Pillow elsewhere.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.essence import Essence
from xai_eval.inputs.images.tiff_file import DECIDE, PHOTOMETRIC, Layout

_UNPACKED = (1, 8, 32946)  # what tifffile reads without further packages: no compression, and two names of Deflate
_ROWS = 256
LEAST_LEVELS = 4
LOW = 4  # a range of less than a quarter of what the depth allows is told
_SMALLEST_IS_WHITE, _RGB, _CMYK = 0, 2, 5


@dataclass(frozen=True)
class Deep:
    """The numbers of an image of more than 8 bits, or of signed ones.

    Attributes:
        values: whole numbers, (h, w) or (h, w, channels).
        full: the number that means white, or full colour.
        inverted: whether 0 means white.
        called: what it is, for notes, such as "16-bit grayscale".
    """

    values: NDArray[np.integer]
    full: int
    inverted: bool
    called: str


def is_deep(shape: Layout) -> bool:
    """Tell whether a TIFF is one that Pillow would not read as it is meant."""
    wide = shape.bits > 8 and shape.photometric != _CMYK
    return wide or shape.kind == 2 or (shape.photometric == _SMALLEST_IS_WHITE and shape.samples > 1)


def read_deep_tiff(path: Path, essence: Essence, shape: Layout) -> Deep:
    """Read the numbers of a TIFF of more than 8 bits, or of signed ones.

    Raises:
        InputUnavailable: nothing here reads this compression of such pixels, or they are negative.
    """
    values = _by_tifffile(essence, shape) if _readable(shape) else _by_pillow(path, essence, shape)
    low, high = int(values.min()), int(values.max())
    called = f"{'signed ' if shape.kind == 2 else ''}{shape.bits}-bit {'grayscale' if shape.samples <= 2 else 'colour'}"
    if low < 0:
        raise InputUnavailable(
            f"{path} holds {shape.bits}-bit values from {low} to {high}; expected none below 0, because nothing says "
            "which number is black. Save it as an 8-bit PNG."
        )
    full = shape.largest
    if shape.bits == 32:
        full = _full_of_32_bits(path, shape, low, high)
    return Deep(values, full, shape.photometric == _SMALLEST_IS_WHITE, called)


def to_eight_bits(path: Path, deep: Deep) -> tuple[NDArray[np.uint8], list[str]]:
    """Scale numbers to 8 bits: uint8 of the same shape, and notes on what was done.

    Grey values are rounded; of colours of 16 bits the upper 8 are taken, as Pillow does.

    Raises:
        InputUnavailable: its different values would become three levels or fewer.
    """
    gray = deep.values.ndim == 2 or deep.values.shape[2] <= 2
    cut = deep.values.ndim == 3 and deep.full == 65535
    scaled = np.empty(deep.values.shape, np.uint8)
    for rows in _strips(len(scaled)):
        part = np.minimum(deep.values[rows].astype(np.uint64), np.uint64(deep.full))
        scaled[rows] = part >> np.uint64(8) if cut else (part * 255 + deep.full // 2) // deep.full
    own = slice(None) if scaled.ndim == 2 else (..., slice(1 if gray else 3))
    colours = scaled[own]  # without alpha, which is neither inverted nor counted
    low, high = (int(end(deep.values[own])) for end in (np.min, np.max))
    require_levels(path, f"{deep.called} values", (low, high), deep.full, (int(colours.min()), int(colours.max())))
    notes = [] if deep.full == 255 else [_done(deep, cut)]
    if (high - low) * LOW < deep.full:
        notes.append(f"its values reach only from {low} to {high} of {deep.full}; it was not brightened")
    if deep.inverted:
        notes.append("inverted, because 0 means white in this file")
        colours[...] = 255 - colours
    return scaled, notes


def require_levels(path: Path, called: str, was: tuple[int, int], full: int, became: tuple[int, int]) -> None:
    """Raise InputUnavailable if numbers from `was[0]` to `was[1]` of `full` become three 8-bit levels or fewer."""
    if was[1] - was[0] >= LEAST_LEVELS and became[1] - became[0] < LEAST_LEVELS:
        raise InputUnavailable(
            f"{path} holds {called} from {was[0]} to {was[1]} of {full}, which become the 8-bit levels {became[0]} to "
            f"{became[1]}: nothing could be seen. Scale them to the whole range, save it again."
        )


def _done(deep: Deep, cut: bool) -> str:
    if cut:
        return f"{deep.called} taken as 8 bit: the upper half of each number"
    return f"{deep.called} scaled to 8 bit{' and converted to RGB' if deep.values.ndim == 2 else ''}"


def _strips(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS))


def _full_of_32_bits(path: Path, shape: Layout, low: int, high: int) -> int:
    """Return what is white in 32 bits: 65,535 if nothing is above, and else all bits of unsigned numbers."""
    if high <= 65535:
        return 65535
    if shape.kind == 2:
        raise InputUnavailable(
            f"{path} holds 32-bit values from {low} to {high}; expected 8 or 16 bits per channel. Save it as an 8-bit "
            "PNG."
        )
    return shape.largest


def _readable(shape: Layout) -> bool:
    return shape.compression in _UNPACKED and shape.bits in (8, 16, 32)


def _by_tifffile(essence: Essence, shape: Layout) -> NDArray[np.integer]:
    import tifffile

    # It logs what it makes of damaged tags; what comes out is an error or an image.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(io.BytesIO(essence.data)) as file:
        values: NDArray[np.integer] = file.pages[0].asarray(maxworkers=1)
    if shape.planar and values.ndim == 3:
        values = np.moveaxis(values, 0, -1)
    return values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values


def _by_pillow(path: Path, essence: Essence, shape: Layout) -> NDArray[np.integer]:
    """Read the numbers by Pillow; of colours it gives the upper 8 bits only, which are put back into their place."""
    gray = shape.samples == 1 and shape.photometric in (0, 1) and shape.bits in (12, 16, 32)
    colour = shape.samples in (3, 4) and shape.photometric == _RGB and shape.bits == 16 and shape.kind == 1
    if not (gray or colour) or (shape.planar and colour):
        raise InputUnavailable(
            f"{path} is a TIFF of {shape.samples} samples of {shape.bits} bits per pixel (photometric interpretation "
            f"{shape.photometric}, compression {shape.compression}), which nothing here reads. Save it as a PNG."
        )
    assert essence.tags is not None
    # Pillow knows 12 bits only where 0 is black. Nothing is inverted here in any case.
    image = Image.open(io.BytesIO(essence.tags.alone(DECIDE, {PHOTOMETRIC: 1} if gray else {})), formats=("TIFF",))
    values = np.array(image)
    if gray:
        return values.view(np.uint32) if shape.bits == 32 and shape.kind == 1 and values.dtype == np.int32 else values
    return values.astype(np.uint16) * np.uint16(257)
