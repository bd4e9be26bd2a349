"""Take apart a JPEG: what decides its pixels, and what its other segments say. (ITU-T T.81; CIPA DC-007 for MPF.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import MOST_FRAMES
from xai_eval.inputs.images.essence import LONGEST_PROFILE, Essence, orientation_of
from xai_eval.inputs.images.jpeg_scans import lacks_scans
from xai_eval.inputs.images.tiff_tags import read_directory

SIGNATURE = b"\xff\xd8\xff"
_MOST_SEGMENTS = 10_000
_MOST_SCANS = 100  # usual are 10; one that sends each bit of each coefficient alone has a few hundred
_USUAL_SCANS = 20
_MOST_SCANNED = 300_000_000  # pixels, over all scans
_SCAN, _COMMENT, _JFIF, _ADOBE = 0xDA, 0xFE, 0xE0, 0xEE
_APPLICATION = range(0xE0, 0xF0)
_STARTS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_IMAGES_OF_MPF = 0xB001


@dataclass(frozen=True)
class _Segment:
    """A segment before the first scan: its marker, its body, and both together as they stand in the file."""

    marker: int
    body: bytes
    whole: bytes


def jpeg_essence(path: Path, data: bytes) -> Essence:
    """Return what decides the pixels of a JPEG.

    Raises:
        InputUnavailable: it is of a kind that libjpeg does not decode, or of too many segments or scans.
    """
    segments, scan = _split(path, data)
    kept: list[bytes | memoryview] = [_plain(each) for each in segments if _decides(each)]
    start = next((each for each in segments if each.marker in _STARTS), None)
    if start is not None:
        _check_kind(path, start)
    _check_scans(path, data, scan, start)
    bodies = [each.body for each in segments if each.marker in _APPLICATION]
    channels = start.body[5] if start is not None and len(start.body) > 5 else 3
    return Essence(
        b"".join([SIGNATURE[:2], *kept, memoryview(data)[scan:]]),
        frames=_frames(bodies),
        orientation=orientation_of(_first(bodies, b"Exif\0\0"), _first(bodies, b"http://ns.adobe.com/xap/1.0/\0")),
        profile=_profile(bodies),
        notes=(*_notes(bodies, channels), *_missing_scans(data, scan, start)),
        library=2 * min(channels, 4) if start is not None and start.marker in _PROGRESSIVE else 0,
    )


def _split(path: Path, data: bytes) -> tuple[list[_Segment], int]:
    """Return the segments before the first scan, and where that scan begins."""
    segments: list[_Segment] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a byte that fills up
            at += 1
            continue
        if marker == _SCAN:
            break
        length = int.from_bytes(data[at + 2 : at + 4])
        segments.append(_Segment(marker, data[at + 4 : at + 2 + length], data[at : at + 2 + length]))
        at += 2 + length
        if len(segments) > _MOST_SEGMENTS:
            raise InputUnavailable(
                f"{path} is a JPEG of more than {_MOST_SEGMENTS:,} segments. Save it again with another program."
            )
    return segments, at


def _decides(segment: _Segment) -> bool:
    """Tell whether a segment decides pixels: all but comments and those of applications, of which JFIF and Adobe do."""
    if segment.marker in (_JFIF, _ADOBE):
        return segment.body.startswith((b"JFIF\0", b"Adobe"))
    return segment.marker not in _APPLICATION and segment.marker != _COMMENT


def _plain(segment: _Segment) -> bytes:
    """Return a segment; one of JFIF with a usual version, because libjpeg tells only the first of its warnings."""
    return segment.whole if segment.marker != _JFIF else segment.whole[:9] + b"\1\1" + segment.whole[11:]


def _check_kind(path: Path, start: _Segment) -> None:
    depth = start.body[0] if start.body else 8
    kind = "lossless" if start.marker in _LOSSLESS else f"of {depth} bits per channel" if depth != 8 else ""
    if kind:
        raise InputUnavailable(f"{path} is a JPEG {kind}; expected 8 bits, not lossless. Save it as a PNG.")


def _check_scans(path: Path, data: bytes, begin: int, start: _Segment | None) -> None:
    end = data.find(b"\xff\xd9", begin)
    scans = data.count(bytes([0xFF, _SCAN]), begin, end if end > 0 else len(data))
    size = b"" if start is None else start.body[1:5]
    pixels = int.from_bytes(size[:2]) * int.from_bytes(size[2:])
    if scans > _MOST_SCANS or (scans > _USUAL_SCANS and scans * pixels > _MOST_SCANNED):
        raise InputUnavailable(
            f"{path} is a progressive JPEG of {scans:,} scans; expected at most {_MOST_SCANS}, and {_USUAL_SCANS} for "
            "a large image, because each goes over the whole image. Save it again with another program."
        )


def _missing_scans(data: bytes, begin: int, start: _Segment | None) -> Iterator[str]:
    end = data.find(b"\xff\xd9", begin)
    if start is None or start.marker not in _PROGRESSIVE or len(start.body) < 6:
        return
    if lacks_scans(data, begin, end if end > 0 else len(data), start.body[5]):
        yield "scans of the progressive JPEG are missing: it is coarser than it was made"


def _first(bodies: Sequence[bytes], head: bytes) -> bytes:
    return next((body for body in bodies if body.startswith(head)), b"")


def _frames(bodies: Sequence[bytes]) -> int:
    tags = read_directory(_first(bodies, b"MPF\0")[4:])
    return 1 if tags is None else max(1, min(tags.number(_IMAGES_OF_MPF, 1), MOST_FRAMES + 1))


def _profile(bodies: Sequence[bytes]) -> bytes | None:
    head = b"ICC_PROFILE\0"
    parts = sorted(body[len(head) :] for body in bodies if body.startswith(head))
    profile = b"".join(part[2:] for part in parts)
    return None if not parts else profile if len(profile) <= LONGEST_PROFILE else b""


def _notes(bodies: Sequence[bytes], channels: int) -> Iterator[str]:
    if _has_gain_map(bodies):
        yield "gain map not applied: the image for usual screens is taken"
    if channels == 4 and not _first(bodies, b"Adobe"):
        yield "CMYK without Adobe's mark taken as inverted, as in torchvision's ImageFolder"


def _has_gain_map(bodies: Sequence[bytes]) -> bool:
    """Tell whether the file says that a second image makes it brighter on some screens (ISO 21496-1, Ultra HDR)."""
    return bool(_first(bodies, b"urn:iso:std:iso:ts:21496")) or b"hdrgm:" in _first(bodies, b"http://ns.adobe.com/xap")
