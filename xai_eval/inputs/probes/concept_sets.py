"""Load the concepts that a unit may be labelled with: those of the bundled scenes, or the lines of a text file."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.door import read_bytes
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.paths import given_path, readable
from xai_eval.scenes import BACKGROUNDS, CONCEPTS

_NAMED = "scenes"
_LEAST = 2
_LONGEST = 1000  # characters; no text model takes more than a few hundred
_SHOWN = 20
# Unicode categories that are refused: control characters, and two separators that only some programs take for line
# ends.
_REFUSED = ("Cc", "Zl", "Zp")


@dataclass(frozen=True)
class ConceptSet:
    """Words or short phrases, each of which may become the label of a unit.

    Attributes:
        name: "scenes", or the name of the file.
        concepts: the concepts in order; the position of a concept is its index everywhere else.
        scene_like: the concepts that name a place rather than an object; empty if unknown.
        notes: what was left out of the file, with line numbers.
    """

    name: str
    concepts: tuple[str, ...]
    scene_like: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the concepts in order, and which of them are scene-like. The name of the set does not count."""
        content = json.dumps([self.concepts, sorted(self.scene_like)])
        return hashlib.sha256(content.encode()).hexdigest()


def load_concepts(spec: str | os.PathLike[str]) -> ConceptSet:
    """Load the concepts that a spec names.

    Args:
        spec: "scenes" (everything that a bundled scene can show; its backgrounds are scene-like), or the path of a
            text file in UTF-8 with one concept per line. Blank lines are dropped. A line that differs from an earlier
            one only in capitals or spacing is dropped too. The notes list both.

    Raises:
        UsageError: the spec is neither text nor a path.
        InputUnavailable: the file is missing, cannot be read, is not text in UTF-8, has a line that cannot be a
            concept, or has fewer than two concepts.
    """
    if not isinstance(spec, str | os.PathLike):
        raise UsageError(
            f"the concepts are a {type(spec).__name__}; expected {_NAMED!r} or the path of a text file with one "
            "concept per line. Write a list into such a file."
        )
    if spec == _NAMED:
        return ConceptSet(_NAMED, CONCEPTS, frozenset(BACKGROUNDS))
    path = given_path(spec)
    with readable(path):
        return _from_lines(path, _lines(path))


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        state = "is no file" if path.exists() else "does not exist"
        raise InputUnavailable(
            f"concept spec {str(path)!r} {state}; expected {_NAMED!r} or a text file with one concept per line. "
            "Check the path."
        )
    try:
        # Some editors begin a file with a byte order mark, which is not part of the first concept.
        text = read_bytes(path, follow=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputUnavailable(
            f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8 text."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _from_lines(path: Path, lines: Sequence[str]) -> ConceptSet:
    kept: dict[str, tuple[int, str]] = {}
    blank: list[str] = []
    folded: list[str] = []
    for number, line in enumerate(lines, start=1):
        concept = line.strip()
        _check(concept, path, number)
        if not concept:
            blank.append(str(number))
            continue
        first, _ = kept.setdefault(_key(concept), (number, concept))
        if first != number:
            folded.append(f"{concept!r} (line {number}) into line {first}")
    concepts = tuple(concept for _, concept in kept.values())
    if len(concepts) < _LEAST:
        raise _too_few(path, concepts)
    return ConceptSet(
        path.name, concepts, notes=(*_note("blank lines dropped", blank), *_note("duplicates folded", folded))
    )


def _check(concept: str, path: Path, number: int) -> None:
    odd = next((character for character in concept if unicodedata.category(character) in _REFUSED), None)
    if odd is not None:
        raise InputUnavailable(
            f"{path}, line {number}: holds the control character U+{ord(odd):04X}; expected one concept per line, in "
            "plain text. If the file is a table or a binary file, save its words alone, one per line."
        )
    if len(concept) > _LONGEST:
        raise InputUnavailable(
            f"{path}, line {number}: has {len(concept)} characters; expected a word or a short phrase of at most "
            f"{_LONGEST}. Write one concept per line."
        )


def _key(concept: str) -> str:
    """Return a key that is equal for texts which differ only in capitals and spacing, as for most text models."""
    return unicodedata.normalize("NFC", " ".join(concept.split())).casefold()


def _too_few(path: Path, concepts: Sequence[str]) -> InputUnavailable:
    found = f"one concept, {concepts[0]!r}" if concepts else "no concept"
    return InputUnavailable(
        f"{path} names {found}; expected at least {_LEAST}, one per line. Units are labelled by comparing concepts: "
        "with a single one, every unit would get it. Add concepts that the units may respond to."
    )


def _note(what: str, found: Sequence[str]) -> tuple[str, ...]:
    if not found:
        return ()
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (f"{what}: {', '.join(found[:_SHOWN])}{more}",)
