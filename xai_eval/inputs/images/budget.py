"""How large an image may be: in pixels, and in the memory that decoding it takes.

The memory is computed from the header of the file, before anything is decoded. It is what Pillow, the library of the
format and the RGB array of this package hold at the same time.
"""

from __future__ import annotations

from pathlib import Path

from xai_eval.errors import InputUnavailable

SMALLEST_SIDE = 16
LARGEST_AREA = 100_000_000
# Models resize the shorter side to a few hundred pixels and keep the ratio, so a narrow strip becomes huge. With this
# ratio it becomes at most 512 x 51,200, well below the largest area.
LARGEST_RATIO = 100
LARGEST_FILE = 300 * 2**20
MEMORY = 256 * 2**20
# A photograph of 100 megapixels is a file of 10 MB or more: large files may take more memory, and small ones may not.
PER_BYTE = 60
MOST_FRAMES = 10_000

_RGB = 3
# Bytes per pixel in Pillow; every mode that is not here takes four.
_PILLOW = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Bytes per pixel that the library of a format holds besides, as was measured.
LIBRARIES = {"JPEG2000": 24, "AVIF": 16, "WEBP": 16, "ICO": 8}


def check_size(path: Path, width: int, height: int) -> None:
    """Raise InputUnavailable if an image is too small, too large, or too narrow."""
    if width * height > LARGEST_AREA:
        raise InputUnavailable(
            f"{path} has {width} x {height} pixels; expected at most {LARGEST_AREA // 1_000_000} megapixels. "
            "Scale it down first; models see a few hundred pixels per side."
        )
    if min(width, height) < SMALLEST_SIDE:
        raise InputUnavailable(
            f"{path} is {width} x {height} pixels; expected at least {SMALLEST_SIDE} on each side, because a "
            "smaller image shows nothing that could be explained. Use a larger image."
        )
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise InputUnavailable(
            f"{path} is {width} x {height} pixels; expected one side at most {LARGEST_RATIO} times as long as the "
            "other, because resizing the shorter side to what a model takes would blow up the longer. Crop it first."
        )


def check_memory(path: Path, file_size: int, width: int, height: int, per_pixel: int) -> None:
    """Raise InputUnavailable if decoding would take too much memory.

    Args:
        path: the file, for the error.
        file_size: its size in bytes; it is held twice, as it is and without what decides no pixels.
        width, height: size of the image in pixels.
        per_pixel: bytes that decoding holds for each pixel, see `pixel_cost`.
    """
    needed, allowed = 2 * file_size + width * height * per_pixel, max(MEMORY, PER_BYTE * file_size)
    if needed > allowed:
        raise InputUnavailable(
            f"{path} is a file of {file_size:,} bytes with {width} x {height} pixels, which take {needed / 1e6:,.0f} "
            f"MB to decode; expected at most {allowed / 1e6:,.0f} MB (or {PER_BYTE} times the size of the file). "
            "Scale it down first; models see a few hundred pixels per side."
        )


def pixel_cost(mode: str, library: int = 0) -> int:
    """Return how many bytes are held for each pixel: by Pillow in a mode, by the library of the format, and as RGB."""
    return _PILLOW.get(mode, 4) + _RGB + library
