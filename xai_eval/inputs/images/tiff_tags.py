"""Read the tags of a TIFF: of a file, of EXIF data, or of the index of a multi-picture JPEG.

Nothing is followed but the first directory, and only values that lie in it or are short are read, so a few bytes cannot
claim much work. TIFF 6.0 (Adobe, 1992); BigTIFF as libtiff describes it; EXIF 2.32 and MPF (CIPA DC-007) use the same
layout.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

# By type of value: its size in bytes, and the letter of `struct` for those that are read here.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_VALUES = 64


@dataclass(frozen=True)
class Entry:
    """One tag: its type, the number of its values, and the bytes of its entry in the directory."""

    kind: int
    count: int
    raw: bytes


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF.

    Attributes:
        data: the whole TIFF, from its byte order mark.
        order: "<" or ">", as `struct` names the order of bytes.
        big: whether it is a BigTIFF, whose offsets have eight bytes.
        entries: by tag.
        following: offset of the next directory; 0 if there is none.
    """

    data: bytes
    order: str
    big: bool
    entries: Mapping[int, Entry]
    following: int

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, at most 64; none if it is missing, of another type, or cut."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _LETTERS:
            return ()
        count, size = min(entry.count, _MOST_VALUES), _SIZES[entry.kind]
        room = 8 if self.big else 4
        inline = entry.raw[-room:]
        if entry.count * size > room:
            at = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", inline)[0]
            inline = self.data[at : at + count * size]
        if len(inline) < count * size:
            return ()
        return struct.unpack(f"{self.order}{count}{_LETTERS[entry.kind]}", inline[: count * size])

    def number(self, tag: int, otherwise: int) -> int:
        """Return the first number of a tag, or `otherwise`."""
        return next(iter(self.numbers(tag)), otherwise)

    def bytes_of(self, tag: int) -> bytes:
        """Return the bytes of a tag of type byte or undefined; none if it is missing, of another type, or outside."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (1, 7):
            return b""
        room = 8 if self.big else 4
        if entry.count <= room:
            return entry.raw[-room:][: entry.count]
        at = struct.unpack(f"{self.order}{'Q' if self.big else 'I'}", entry.raw[-room:])[0]
        return self.data[at : at + entry.count]

    def alone(self, tags: frozenset[int], changed: Mapping[int, int] | None = None) -> bytes:
        """Return a TIFF with the same data and one directory of some tags only: what other tags claim is gone.

        Args:
            tags: the tags to keep.
            changed: other values for tags of one short number.
        """
        new = {tag: self._short(tag, value) for tag, value in (changed or {}).items()}
        kept = [new.get(tag, entry.raw) for tag, entry in sorted(self.entries.items()) if tag in tags]
        room = 16 if self.big else 8
        head, end = self.data[:room], memoryview(self.data)[room:]
        pad = b"\0" * (-len(self.data) % 8)
        at = struct.pack(f"{self.order}{'Q' if self.big else 'I'}", len(self.data) + len(pad))
        count = struct.pack(f"{self.order}{'Q' if self.big else 'H'}", len(kept))
        return b"".join([head[: -len(at)], at, end, pad, count, *kept, b"\0" * len(at)])

    def _short(self, tag: int, value: int) -> bytes:
        """Return the entry of a tag that is one short number."""
        return struct.pack(f"{self.order}HH{'QH6x' if self.big else 'IH2x'}", tag, 3, 1, value)


def read_directory(data: bytes) -> Directory | None:
    """Return the first directory of a TIFF; None if the bytes are no TIFF, or end before the directory does."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return None
    magic = struct.unpack(f"{order}H", data[2:4])[0]
    if magic not in (42, 43) or (magic == 43 and len(data) < 16):
        return None
    big = magic == 43
    first = struct.unpack(f"{order}Q", data[8:16])[0] if big else struct.unpack(f"{order}I", data[4:8])[0]
    return _directory_at(data, order, big, first)


def count_pages(directory: Directory, most: int) -> int:
    """Count the directories of a TIFF, at most `most`. A chain that runs in a circle ends where it began."""
    seen, following = 1, directory.following
    places = {0}
    while seen < most and following not in places:
        places.add(following)
        step = _following(directory.data, directory.order, directory.big, following)
        if step is None:
            break
        seen, following = seen + 1, step
    return seen


def _directory_at(data: bytes, order: str, big: bool, at: int) -> Directory | None:
    shape = _shape(data, order, big, at)
    if shape is None:
        return None
    count, start, width = shape
    following = _following(data, order, big, at)
    entries: dict[int, Entry] = {}
    for place in range(start, start + count * width, width):
        raw = data[place : place + width]
        tag, kind, values = struct.unpack(f"{order}HH{'Q' if big else 'I'}", raw[: 12 if big else 8])
        entries.setdefault(tag, Entry(kind, values, raw))
    return Directory(data, order, big, entries, following or 0)


def _shape(data: bytes, order: str, big: bool, at: int) -> tuple[int, int, int] | None:
    """Return the number of entries of a directory, where they begin, and the width of each; None if they do not fit."""
    size, width = (8, 20) if big else (2, 12)
    if at <= 0 or at + size > len(data):
        return None
    count = struct.unpack(f"{order}{'Q' if big else 'H'}", data[at : at + size])[0]
    if count > 0xFFFF or at + size + count * width > len(data):
        return None
    return count, at + size, width


def _following(data: bytes, order: str, big: bool, at: int) -> int | None:
    shape = _shape(data, order, big, at)
    if shape is None:
        return None
    count, start, width = shape
    end, size = start + count * width, 8 if big else 4
    if end + size > len(data):
        return 0
    return int(struct.unpack(f"{order}{'Q' if big else 'I'}", data[end : end + size])[0])
