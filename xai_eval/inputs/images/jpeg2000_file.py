"""Read what a JPEG 2000 says of its numbers: their depth and sign, and the size of the image and its tiles.

The boxes around the codestream are those of ISO/IEC 15444-1, annex I; its first segment (SIZ) is that of A.5.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import MEMORY, check_size
from xai_eval.inputs.images.essence import Essence

_CODESTREAM = b"\xff\x4f\xff\x51"
_BOXES = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
SIGNATURES = (_CODESTREAM, _BOXES)
_SIGNED = 0x80
_ANY_DEPTH = 255  # stands for "see another box"
# What OpenJPEG holds for each tile, and for each channel of each tile, whatever its size.
_PER_TILE, _PER_CHANNEL = 6_000, 1_200


@dataclass(frozen=True)
class _Sizes:
    """Attributes: width, height of the image in pixels; number of tiles; depth in bits and sign of each channel."""

    width: int
    height: int
    tiles: int
    depths: tuple[int, ...]
    signed: bool


def jpeg2000_essence(path: Path, data: bytes) -> Essence:
    """Return a JPEG 2000 as it is, with notes on its depth.

    Raises:
        InputUnavailable: its header claims too much, or its numbers are signed.
        LookupError, ValueError, struct.error: its header is damaged.
    """
    start, depth = _start(data)
    sizes = _sizes(data, start)
    if depth not in (None, *sizes.depths):
        raise ValueError(f"its boxes say {depth} bits, its data {max(sizes.depths)}")
    check_size(path, sizes.width, sizes.height)
    channels = len(sizes.depths)
    if sizes.tiles * (_PER_TILE + _PER_CHANNEL * channels) > MEMORY:
        raise InputUnavailable(
            f"{path} is a JPEG 2000 of {sizes.tiles:,} tiles of {channels} channels, for each of which memory is "
            "needed. Save it again with larger tiles, or as a PNG."
        )
    if sizes.signed:
        raise InputUnavailable(
            f"{path} is a JPEG 2000 of signed numbers; expected none below 0, because nothing says which number is "
            "black. Save it as an 8-bit PNG."
        )
    return Essence(data, notes=_notes(sizes.depths))


def _start(data: bytes) -> tuple[int, int | None]:
    """Return where the codestream begins: at once, or in the box that holds it; and the depth that a box before says.

    Raises:
        LookupError, ValueError, struct.error: there is none.
    """
    if data.startswith(_CODESTREAM):
        return 0, None
    at, depth = len(_BOXES), None
    while True:
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = at + 8
        if length == 1:
            length, body = struct.unpack(">Q", data[body : body + 8])[0], body + 8
        if kind == b"jp2c":
            return body, depth
        if data[body + 4 : body + 8] == b"ihdr" and data[body + 18] != _ANY_DEPTH:
            depth = (data[body + 18] & ~_SIGNED) + 1
        if length < body - at:
            raise ValueError("a box of it has no size")
        at += length


def _sizes(data: bytes, at: int) -> _Sizes:
    if not data.startswith(_CODESTREAM, at):
        raise ValueError("its codestream does not begin with sizes")
    right, bottom, left, top, wide, high, _, _ = struct.unpack(">8I", data[at + 8 : at + 40])
    channels = struct.unpack(">H", data[at + 40 : at + 42])[0]
    told = data[at + 42 : at + 42 + 3 * channels : 3]
    if len(told) < channels or not channels or not wide or not high:
        raise ValueError("its sizes are cut, or 0")
    return _Sizes(
        max(0, right - left),
        max(0, bottom - top),
        -(-right // wide) * -(-bottom // high),
        tuple((each & ~_SIGNED) + 1 for each in told),
        any(each & _SIGNED for each in told),
    )


def _notes(depths: tuple[int, ...]) -> tuple[str, ...]:
    """Say what Pillow does with other depths than 8: it moves the bits. One deep channel it leaves as it is."""
    least, most = min(depths), max(depths)
    if least < 8:
        white = (2**least - 1) << (8 - least)
        return (f"{least}-bit numbers moved up to 8 bits: their largest became {white} of 255",)
    if most > 8 and len(depths) > 1:
        return (f"{most}-bit colour taken as 8 bit: the upper 8 bits of each number",)
    return ()
