"""Read the binary numbers of a PGM or PPM whose largest is not what its depth allows.

Pillow scales such numbers one by one in Python, which takes a second per megapixel, and takes those above the largest
that the file names for the largest. Here they are counted, and scaled by a table, to what Pillow makes of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.deep import require_levels

_CHANNELS = {"L": 1, "I": 1, "RGB": 3}
_DEEP = 255
_PART = 2**20  # numbers that are looked up at a time


def read_scaled(path: Path, image: Image.Image, data: bytes) -> tuple[Image.Image, list[str]]:
    """Return what Pillow would read of an image, and what was done; the image itself if it is none of this kind.

    Args:
        path: the file, for errors.
        image: Pillow's image, of which only the header was read.
        data: the file.

    Raises:
        InputUnavailable: a number is larger than the largest that the file names, or numbers are missing.
    """
    tile = getattr(image, "tile", ())  # what Pillow's plugin made of the header
    if not tile or tile[0][0] != "ppm":
        return image, []
    _, _, start, options = tile[0]
    largest, shape = int(options[1]), (image.height, image.width, _CHANNELS[image.mode])
    count = image.height * image.width * shape[2]
    kind = np.dtype(">u2" if largest > _DEEP else "u1")
    if len(data) < start + count * kind.itemsize:
        raise InputUnavailable(f"{path} is truncated or damaged: its last rows are missing. Get the file again.")
    values = np.frombuffer(data, kind, count, start)
    if (most := int(values.max())) > largest:
        raise InputUnavailable(
            f"{path} holds the number {most}; expected at most {largest}, which it names as its largest. Get the file "
            "again, or write the right number into its header."
        )
    white, out = (65535, np.uint16) if image.mode == "I" else (255, np.uint8)
    table = np.array([round(value / largest * white) for value in range(largest + 1)], out)
    scaled = np.empty(count, out)
    for first in range(0, count, _PART):
        scaled[first : first + _PART] = table[values[first : first + _PART]]
    notes = []
    if largest > _DEEP and image.mode == "RGB":
        called = f"{largest.bit_length()}-bit colour"
        became = int(scaled.min()), int(scaled.max())
        require_levels(path, f"{called} values", (int(values.min()), most), largest, became)
        notes = [f"{called} scaled to 8 bit"]
    return Image.fromarray(scaled.reshape(shape[: 2 if shape[2] == 1 else 3])), notes
