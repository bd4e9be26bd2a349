"""Take apart a PNG: what decides its pixels, and what its other chunks say. (PNG 3, W3C 2025.)"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.essence import LONGEST_PROFILE, Essence, orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 200_000
_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"})
# Of texts, only those that may name an orientation: XMP, and EXIF as ImageMagick wrote it before there was eXIf.
_RAW_EXIF = b"Raw profile type exif\0"
_TEXTS = {b"iTXt": b"XML:com.adobe.xmp\0", b"tEXt": _RAW_EXIF, b"zTXt": _RAW_EXIF}
_SRGB_GAMMA = 45_455


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    body: memoryview
    whole: memoryview


def png_essence(path: Path, data: bytes) -> Essence:
    """Return what decides the pixels of a PNG.

    Raises:
        InputUnavailable: a checksum is wrong, there are too many chunks, or one that decides the pixels is unknown.
    """
    kept: list[bytes | memoryview] = [SIGNATURE]
    said: dict[bytes, bytes] = {}
    ended = False
    for chunk in _chunks(path, data):
        if chunk.kind in _KEPT or len(chunk.whole) < len(chunk.body) + 12:  # Pillow says what is wrong with a cut one
            kept.append(chunk.whole)
        elif not chunk.kind[0] & 0x20 and chunk.kind.isalpha():
            raise InputUnavailable(
                f"{path} has a chunk {chunk.kind.decode()} that decides its pixels and is not in the standard of PNG "
                "(Xcode writes CgBI). Save it again with another program."
            )
        text = _TEXTS.get(chunk.kind)
        if text is None or chunk.body[: len(text)] == text:
            said.setdefault(chunk.kind, bytes(chunk.body[:LONGEST_PROFILE]))
        ended = ended or chunk.kind == b"IEND"
        if ended:
            break
    return Essence(
        b"".join(kept),
        frames=_frames(said),
        orientation=orientation_of(said.get(b"eXIf", b"") or _raw_exif(said), said.get(b"iTXt", b"")),
        profile=_profile(said.get(b"iCCP")),
        notes=tuple(_notes(said, ended)),
        transparent=_transparent(said),
        depth=said.get(b"IHDR", b"").ljust(9, b"\x08")[8],
    )


def _chunks(path: Path, data: bytes) -> Iterator[_Chunk]:
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length = int.from_bytes(view[at : at + 4])
        chunk = _Chunk(bytes(view[at + 4 : at + 8]), view[at + 8 : at + 8 + length], view[at : at + 12 + length])
        if chunk.kind in _KEPT and len(chunk.whole) == length + 12:
            _check(path, chunk)
        yield chunk
        at += length + 12
    raise InputUnavailable(f"{path} is a PNG of more than {_MOST_CHUNKS:,} chunks. Save it again with another program.")


def _check(path: Path, chunk: _Chunk) -> None:
    if zlib.crc32(chunk.whole[4:-4]) != int.from_bytes(chunk.whole[-4:]):
        raise InputUnavailable(
            f"{path} is truncated or damaged: the checksum of its {chunk.kind.decode()} chunk is wrong. "
            "Get the file again."
        )


def _frames(said: dict[bytes, bytes]) -> int:
    if len(said.get(b"acTL", b"")) < 4:
        return 1
    own = b"fcTL" in said and list(said).index(b"fcTL") < list(said).index(b"IDAT") if b"IDAT" in said else True
    # Without a frame control before it, the image is not part of the animation.
    return int.from_bytes(said[b"acTL"][:4]) + (not own)


def _profile(chunk: bytes | None) -> bytes | None:
    if chunk is None:
        return None
    _, _, packed = chunk.partition(b"\0")
    return _unpacked(packed[1:])


def _unpacked(packed: bytes) -> bytes:
    """Return what zlib packed; nothing if it is damaged, or too long."""
    try:
        whole = zlib.decompressobj().decompress(packed, LONGEST_PROFILE + 1)
    except zlib.error:
        return b""
    return whole if len(whole) <= LONGEST_PROFILE else b""


def _raw_exif(said: dict[bytes, bytes]) -> bytes:
    """Return EXIF data that stands in a text: its name, its length, and hexadecimal digits."""
    text = said.get(b"tEXt", b"")[len(_RAW_EXIF) :] or _unpacked(said.get(b"zTXt", b"")[len(_RAW_EXIF) + 1 :])
    digits = b"".join(text.split()[2:])
    return bytes.fromhex(digits.decode("ascii")) if re.fullmatch(rb"(?:[0-9a-fA-F]{2})+", digits) else b""


def _notes(said: dict[bytes, bytes], ended: bool) -> Iterator[str]:
    if not ended:
        yield "the file ends before its end chunk"
    gamma = int.from_bytes(said[b"gAMA"][:4]) if b"gAMA" in said and not {b"iCCP", b"sRGB"} & said.keys() else None
    if gamma is not None and abs(gamma - _SRGB_GAMMA) > 0.05 * _SRGB_GAMMA:
        yield f"gamma {gamma / 100_000:g} of the file not applied, as in torchvision's ImageFolder"
    if b"cICP" in said and said[b"cICP"][:2] != b"\1\r":  # BT.709 with the curve of sRGB
        yield f"colour space {'-'.join(map(str, said[b'cICP'][:4]))} (cICP) of the file not applied"


def _transparent(said: dict[bytes, bytes]) -> tuple[int, ...] | None:
    """Return the transparent grey value or colour; None for palettes, whose entries have alpha values of their own."""
    header, colour = said.get(b"IHDR", b""), said.get(b"tRNS")
    if colour is None or len(header) < 13 or header[9] not in (0, 2):
        return None
    count = 1 if header[9] == 0 else 3
    return struct.unpack(f">{count}H", colour[: 2 * count]) if len(colour) >= 2 * count else None
