"""Whether a PNG holds all of its rows. Pillow takes one that ends early, but properly, for one of black rows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour
_PART, _TAKEN = 2**16, 2**12  # bytes that come out and go in at a time
_INTERLACED = 1


def lacks_rows(data: bytes) -> bool:
    """Tell whether the pixels of a PNG end before its last row.

    Interlaced images are not looked at: Pillow says so of them.

    Args:
        data: the file, of chunks whose checksums are right, and of which Pillow decodes what is there.
    """
    chunks = list(_chunks(data))
    header = next(body for kind, body in chunks if kind == b"IHDR")
    width, height, depth, colour = *(int.from_bytes(header[at : at + 4]) for at in (0, 4)), header[8], header[9]
    if header[12] == _INTERLACED:
        return False
    wanted = height * (1 + (width * depth * _CHANNELS.get(colour, 1) + 7) // 8)
    return sum(_unpacked(body for kind, body in chunks if kind == b"IDAT")) < wanted


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = data.index(b"IHDR") - 4
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def _unpacked(parts: Iterator[bytes]) -> Iterator[int]:
    """Yield how many bytes come out, a part at a time."""
    unpacking = zlib.decompressobj()
    for part in (body[at : at + _TAKEN] for body in parts for at in range(0, len(body), _TAKEN)):
        while part and not unpacking.eof:
            yield len(unpacking.decompress(part, _PART))
            part = unpacking.unconsumed_tail
