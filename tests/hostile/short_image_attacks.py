"""Images that end before they are complete, but properly, so that no library says a word."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hostile.attack import Attack
from hostile.image_bombs import chunk
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode

SIDE = 32
GRAY = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) | 1


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
    "a palette of fewer colours than the image": (few_colours, "the palette has only 2 colours"),
}

ATTACKS = tuple(
    Attack(name, "images", "an error, or a note", partial(_told, content, words))
    for name, (content, words) in _SHORT.items()
)
