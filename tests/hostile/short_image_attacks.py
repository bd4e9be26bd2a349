"""Images that end before they are complete, but properly, so that no library says a word."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from hostile.attack import Attack
from hostile.image_bombs import chunk
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.tiff_tags import read_directory

SIDE = 32
_FAX = ("tiff_ccitt", "group3", "group4")
GRAY = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) | 1

COLOURS = np.stack([GRAY, GRAY.T, 255 - GRAY], -1)
DEEP = GRAY.astype(np.uint16) * 256


def png(rows: int, interlaced: int = 0) -> bytes:
    """A PNG of 32 rows, of which only some are there; all checksums are right."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, interlaced)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in GRAY[:rows]))
    parts = (b"IHDR", header), (b"IDAT", packed[:20]), (b"IDAT", packed[20:]), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in parts)


def ico(rows: int) -> bytes:
    inside = png(rows)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, SIDE, SIDE, 0, 0, 1, 8, len(inside), 22) + inside


def few_scans(count: int) -> bytes:
    """A progressive JPEG of `count` scans, and its proper end."""
    out = io.BytesIO()
    Image.fromarray(GRAY).save(out, "JPEG", progressive=True)
    whole, at = out.getvalue(), 0
    for _ in range(count + 1):
        at = whole.index(b"\xff\xda", at + 1)
    return whole[:at] + b"\xff\xd9"


def few_colours() -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 3, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in GRAY))
    parts = (b"IHDR", header), (b"PLTE", bytes(range(6))), (b"IDAT", packed), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in parts)


def tiff(kind: str, claimed: Mapping[int, int], pixels: np.ndarray = GRAY) -> bytes:
    """A TIFF of one strip, some of whose tags claim something else."""
    out = io.BytesIO()
    Image.fromarray(pixels > 40 if kind in _FAX else pixels).save(out, "TIFF", compression=kind)
    whole = out.getvalue()
    tags = read_directory(whole)
    assert tags is not None
    for tag, number in claimed.items():
        whole = whole.replace(tags.entries[tag].raw, struct.pack("<HHII", tag, 4, 1, number))
    return whole


def jpeg2000(first: int, pixels: np.ndarray = GRAY, before: bytes = b"") -> bytes:
    """A JPEG 2000 whose header says something else of the depth and sign of its numbers, perhaps behind another box."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG2000", no_jp2=not before)
    whole = bytearray(out.getvalue())
    at = whole.index(b"\xff\x4f\xff\x51")
    whole[at + 42 : at + 42 + 3 * (pixels.ndim * 2 - 3) : 3] = bytes([first]) * (pixels.ndim * 2 - 3)
    box = struct.pack(">I4s", 8 + len(before), b"xml ") + before if before else b""
    return bytes(whole[:12] + box + whole[12:] if before else whole)


def numbers(kind: str, largest: int, values: np.ndarray) -> bytes:
    """A PGM or PPM."""
    return (
        f"{kind} {SIDE} {SIDE} {largest}\n".encode() + values.astype(">u2" if values.itemsize > 1 else "u1").tobytes()
    )


def _told(content: Callable[[], bytes], words: str, folder: Path) -> str | None:
    path = folder / "a.png"
    path.write_bytes(content())
    try:
        said = " ".join(decode(path).notes)
    except InputUnavailable as error:
        said = str(error)
    return None if words in said else f"it says {said!r}"


_MISSING, _SCANS = "truncated or damaged", "scans of the progressive JPEG are missing"
_SHORT = {
    "a PNG without its last rows": (partial(png, 20), _MISSING),
    "a PNG without its last row": (partial(png, SIDE - 1), _MISSING),
    "an interlaced PNG that ends early": (partial(png, 12, 1), _MISSING),
    "an image for Windows without its last rows": (partial(ico, 20), _MISSING),
    "a JPEG of one scan of many": (partial(few_scans, 1), _SCANS),
    "a JPEG without its last scan": (partial(few_scans, 5), _SCANS),
    **{
        f"a TIFF of {kind} that ends {where}": (partial(tiff, kind, claimed), "rows are missing")
        for kind in ("tiff_ccitt", "group3", "group4", "jpeg")
        for where, claimed in {"after 3 bytes": {279: 3}, "after half of its rows": {257: 64, 278: 64}}.items()
    },
    "a TIFF whose strip is shorter than its rows": (partial(tiff, "raw", {279: 400}), "shorter than their rows"),
    "a JPEG 2000 of signed numbers": (partial(jpeg2000, 0x87), "signed numbers"),
    "a JPEG 2000 of signed numbers behind a false header": (
        partial(jpeg2000, 0x87, before=jpeg2000(7)[:60]),
        "signed numbers",
    ),
    "a JPEG 2000 of 4 bits": (partial(jpeg2000, 3), "240 of 255"),
    "a JPEG 2000 of 12 bits in colour": (partial(jpeg2000, 11, COLOURS), "12-bit colour taken as 8 bit"),
    "a JPEG 2000 of two depths": (partial(jpeg2000, 3, before=b"<a/>"), "its boxes say 8 bits"),
    "a PGM with numbers above its largest": (partial(numbers, "P5", 200, GRAY), "holds the number 255"),
    "a PPM with numbers above its largest": (partial(numbers, "P6", 7, COLOURS), "holds the number 255"),
    "a PGM of 16 bits with numbers above its largest": (partial(numbers, "P5", 700, DEEP), "at most 700"),
    "a PPM of 16 bits": (partial(numbers, "P6", 65535, np.stack([DEEP] * 3, -1)), "16-bit colour scaled"),
    "a PPM of 16 bits of low range": (partial(numbers, "P6", 65535, np.stack([DEEP // 90] * 3, -1)), "nothing"),
    "a palette of fewer colours than the image": (few_colours, "the palette has only 2 colours"),
}

ATTACKS = tuple(
    Attack(name, "images", "an error, or a note", partial(_told, content, words))
    for name, (content, words) in _SHORT.items()
)
