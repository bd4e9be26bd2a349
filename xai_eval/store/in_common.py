"""Keeps many results in little memory: those of one task have most of their words in common, which are kept once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeVar, cast

from xai_eval.disk.quick_zlib import quick_zlib
from xai_eval.result.result import Case, Provenance

_Part = TypeVar("_Part")
# A packed text refers to nothing farther back than this.
_WINDOW = 32 * 1024
# So much is kept, because a stranger's folder may hold any number: tasks, and parts of a provenance per task.
_TASKS, _PARTS = 64, 256


@dataclass(frozen=True, slots=True, eq=False)
class PackedText:
    """A text, packed. It is itself alone, because to compare texts takes longer than to look one up.

    Attributes:
        packed: what was made of it, for this process and its copies.
        example: a similar text, with whose words it was packed.
    """

    packed: bytes
    example: bytes

    @property
    def text(self) -> bytes:
        """The text."""
        stream = quick_zlib.decompressobj(zdict=self.example)
        text: bytes = stream.decompress(self.packed) + stream.flush()
        return text


class InCommon:
    """What the results of one task have in common, as far as it was seen."""

    def __init__(self) -> None:
        """Begin without any result."""
        self._example = b""
        self._parts: dict[str, object] = {}

    def packed(self, text: bytes) -> PackedText:
        """Pack the document of a result by the words of the first one."""
        self._example = self._example or text[:_WINDOW]
        stream = quick_zlib.compressobj(level=1, zdict=self._example)
        return PackedText(stream.compress(text) + stream.flush(), self._example)

    def share(self, case: Case, provenance: Provenance) -> None:
        """Put the same objects into a result that other results have, where they are equal."""
        for owner, name in (
            (case, "task"),
            (case, "model"),
            (case, "params"),
            (provenance, "parameters"),
            (provenance, "versions"),
            (provenance, "precision"),
        ):
            object.__setattr__(owner, name, self._same(getattr(owner, name)))
        object.__setattr__(provenance, "digests", {k: self._same(v) for k, v in provenance.digests.items()})

    def _same(self, part: _Part) -> _Part:
        """Return an equal part that was seen before, or this one. 1, 1.0 and true are equal, but not the same."""
        if len(self._parts) > _PARTS:
            self._parts.clear()
        return cast(_Part, self._parts.setdefault(repr(part), part))


@functools.lru_cache(maxsize=_TASKS)
def in_common(task: str) -> InCommon:
    """Return what the results of a task have in common."""
    return InCommon()
