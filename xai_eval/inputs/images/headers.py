"""Check what a file says of its size before a library opens it, where the library takes the memory at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import LIBRARIES, check_memory, check_size, pixel_cost
from xai_eval.inputs.images.png_file import SIGNATURE
from xai_eval.inputs.images.tiff_tags import read_directory

_EXIF_START = re.compile(rb"II\*\0|MM\0\*")
_LONGEST_EXIF = 16 * 2**20
_LONGEST_HEADER = 8192
# Pillow reads numbers that are written in letters one by one, and copies what it has at each comment among them.
_MOST_WRITTEN, _MOST_COMMENTS = 2_000_000, 1_000


def check_header(path: Path, data: bytes) -> None:
    """Raise InputUnavailable if the header of a WebP, AVIF, ICO or PPM claims too much."""
    for begins, check in _CHECKS.items():
        if re.match(begins, data[:16], re.DOTALL):
            check(path, data)


def _webp(path: Path, data: bytes) -> None:
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    check_size(path, width, height)
    check_memory(path, len(data), width, height, pixel_cost("RGBA", LIBRARIES["WEBP"]))


def _avif(path: Path, data: bytes) -> None:
    """Refuse EXIF data whose tags, all together, claim far more than there is: Pillow reads them when it opens."""
    for found in _EXIF_START.finditer(data):
        tags = read_directory(data[found.start() : found.start() + _LONGEST_EXIF])
        if tags is not None and sum(each.count for each in tags.entries.values()) > _LONGEST_EXIF:
            raise InputUnavailable(f"{path} has damaged EXIF data (its tags claim more than it holds). Save it again.")


def _icon(path: Path, data: bytes) -> None:
    count = int.from_bytes(data[4:6], "little")
    for width, height in _sizes_in_icon(data, count):
        check_memory(path, len(data), width, height, pixel_cost("RGBA", LIBRARIES["ICO"]))


def _sizes_in_icon(data: bytes, count: int) -> Iterator[tuple[int, int]]:
    """Yield the sizes in the headers of the images themselves; those in the directory are at most 256 x 256."""
    for at in range(6, 6 + 16 * count, 16):
        start = int.from_bytes(data[at + 12 : at + 16], "little")
        head = data[start : start + 24]
        if head.startswith(SIGNATURE):
            yield int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
        else:
            width, height = (int.from_bytes(head[place : place + 4], "little", signed=True) for place in (4, 8))
            yield abs(width), abs(height)


def _ppm(path: Path, data: bytes) -> None:
    """Refuse a header with long comments, which Pillow reads letter by letter; and too much that is in letters."""
    fields = re.sub(rb"#[^\n]*(?:\n|$)", b"\n", data[:_LONGEST_HEADER]).split(None, 4)
    if len(fields) < 4 and len(data) > _LONGEST_HEADER:
        raise InputUnavailable(f"{path} has a header of more than {_LONGEST_HEADER:,} bytes. Save it without comments.")
    if data[1:2] in b"123" and data.count(b"#") > _MOST_COMMENTS:
        raise InputUnavailable(f"{path} has more than {_MOST_COMMENTS:,} comments. Save it without comments.")
    numbers = math.prod(map(int, fields[1:3])) * {b"2": 1, b"3": 3}.get(data[1:2], 0)
    if numbers > _MOST_WRITTEN:
        raise InputUnavailable(
            f"{path} has {numbers:,} numbers that are written in letters; expected at most {_MOST_WRITTEN:,}. Save it "
            "as a binary PGM or PPM, or as PNG."
        )


_CHECKS: Mapping[bytes, Callable[[Path, bytes], None]] = {
    rb"RIFF....WEBP": _webp,
    rb"....ftyp": _avif,
    rb"\x00\x00\x01\x00": _icon,
    rb"P[1-7Ff]": _ppm,
}
