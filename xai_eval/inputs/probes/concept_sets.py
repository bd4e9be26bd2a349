"""Concepts that a unit may stand for: the bundled ones of the scenes, or the lines of a text file."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.paths import given_path, readable
from xai_eval.scenes import BACKGROUNDS, CONCEPTS

_NAMED = "scenes"
_LEAST = 2
_LONGEST = 1000  # characters; no text model takes more than a few hundred
_SHOWN = 20
# Control characters, and the two separators that end a line for some programs and not for others.
_REFUSED = ("Cc", "Zl", "Zp")


@dataclass(frozen=True)
class ConceptSet:
    """Words or short phrases, each of which may become the label of a unit.

    Attributes:
        name: "scenes", or the name of the file.
        concepts: the concepts in their order; a concept's position is its index everywhere else.
        scene_like: those that say where an image was taken rather than what is in it; empty where nobody said.
        notes: what was left out of the file, with its line numbers.
    """

    name: str
    concepts: tuple[str, ...]
    scene_like: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over the concepts in their order and which of them are scene-like; the name is no part of it."""
        content = json.dumps([self.concepts, sorted(self.scene_like)])
        return hashlib.sha256(content.encode()).hexdigest()


def load_concepts(spec: str | os.PathLike[str]) -> ConceptSet:
    """Load the concepts that a spec names.

    Args:
        spec: "scenes" (everything that a bundled scene can show, its backgrounds scene-like), or the path of a
            text file in UTF-8 with one concept a line. Blank lines are dropped, and a line that differs from an
            earlier one in capitals or spacing alone is folded into it; the notes say which.

    Raises:
        UsageError: the spec is no text or path.
        InputUnavailable: the file is missing, cannot be read, is no UTF-8 text, holds what cannot be a concept, or
            fewer than two concepts.
    """
    if not isinstance(spec, str | os.PathLike):
        raise UsageError(
            f"the concepts are a {type(spec).__name__}; expected {_NAMED!r} or the path of a text file with one "
            "concept a line. Write a list into such a file."
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
            f"concept spec {str(path)!r} {state}; expected {_NAMED!r} or a text file with one concept a line. "
            "Check the path."
        )
    try:
        # Some editors begin a file with a byte order mark; it is no part of the first concept.
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputUnavailable(
            f"{path} is no UTF-8 text ({error.reason} at byte {error.start}). Save the concepts as UTF-8, one a line."
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
            f"{path}, line {number}: holds the control character U+{ord(odd):04X}; expected one concept in plain text "
            "a line. A table or a binary file is no list of concepts: save its words alone, one a line."
        )
    if len(concept) > _LONGEST:
        raise InputUnavailable(
            f"{path}, line {number}: has {len(concept)} characters; expected a word or a short phrase of at most "
            f"{_LONGEST}. Write one concept a line."
        )


def _key(concept: str) -> str:
    """What is the same for two spellings that text models read as one: capitals and spacing do not count."""
    return unicodedata.normalize("NFC", " ".join(concept.split())).casefold()


def _too_few(path: Path, concepts: Sequence[str]) -> InputUnavailable:
    found = f"one concept, {concepts[0]!r}" if concepts else "no concept"
    return InputUnavailable(
        f"{path} names {found}; expected at least {_LEAST}, one a line. Units are labelled by comparing concepts: "
        "where there is nothing else to be, every unit is the only one. Add concepts that the units might stand for."
    )


def _note(what: str, found: Sequence[str]) -> tuple[str, ...]:
    if not found:
        return ()
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (f"{what}: {', '.join(found[:_SHOWN])}{more}",)
