"""Keeps the documents of many results in little memory: those of one task hardly differ, so each is packed by another."""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, field

# zlib looks back no farther than this.
_WINDOW = 32 * 1024
_TASKS = 64  # whose first documents are kept; a stranger's folder may name more


@dataclass(frozen=True, slots=True)
class PackedText:
    """A text, packed.

    Attributes:
        packed: what zlib made of it.
        example: a similar text, with whose words it was packed.
    """

    packed: bytes
    example: bytes

    @property
    def text(self) -> bytes:
        """The text."""
        stream = zlib.decompressobj(zdict=self.example)
        return stream.decompress(self.packed) + stream.flush()


def packed(text: bytes, task: str) -> PackedText:
    """Pack the document of a result of a task; the first one of this task serves as the example for all others."""
    example = _example(task).of(text)
    stream = zlib.compressobj(level=1, zdict=example)
    return PackedText(stream.compress(text) + stream.flush(), example)


@dataclass
class _Example:
    """The beginning of the first text that was packed."""

    text: bytes = field(default=b"")

    def of(self, text: bytes) -> bytes:
        self.text = self.text or text[:_WINDOW]
        return self.text


@functools.lru_cache(maxsize=_TASKS)
def _example(task: str) -> _Example:
    return _Example()
