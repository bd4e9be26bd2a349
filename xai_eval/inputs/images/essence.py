"""What of an image file reaches Pillow: the parts that decide its pixels, and what was read from the rest.

Comments, thumbnails, further frames and unknown blocks never reach a library. What they claim costs nothing, and a text
of any size makes no image unreadable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xai_eval.inputs.images.tiff_tags import Directory, read_directory

_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
_IN_XMP = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
LONGEST_PROFILE = 4 * 2**20


@dataclass(frozen=True)
class Essence:
    """The parts of an image file that decide its pixels.

    Attributes:
        data: a file of the same format without the rest.
        frames: how many images the file holds; the first is taken.
        orientation: how a viewer turns the image, 1 to 8 as in EXIF; 1 is as stored.
        profile: the ICC profile; None if there is none, or if it is too large.
        notes: what the file says of its pixels that is not followed, one sentence each.
        library: bytes per pixel that the library of the format holds besides Pillow.
        transparent: grey value or colour that is transparent, at the depth of the file; None if none is.
        tags: the tags of a TIFF.
        depth: bits per channel of a PNG.
    """

    data: bytes
    frames: int = 1
    orientation: int = 1
    profile: bytes | None = None
    notes: tuple[str, ...] = ()
    library: int = 0
    transparent: tuple[int, ...] | None = None
    tags: Directory | None = None
    depth: int = 8


def orientation_of(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation that EXIF data names, or else XMP, 1 to 8; 1 if none does, or it cannot be read."""
    tags = read_directory(exif.removeprefix(_EXIF))
    told = 0 if tags is None else tags.number(_ORIENTATION, 0)
    if not told and (named := _IN_XMP.search(xmp)):
        told = int(named[1])
    return told if 1 <= told <= 8 else 1
