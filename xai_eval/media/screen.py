"""What a person sees who looks at a terminal: lines end before its edge, states have colours, and no list is endless.

In a pipe, in a file and in the log of a CI job nothing is changed, so that lines can be searched and cut.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import TextIO

from xai_eval.media.characters import visible

_RESET = "\x1b[0m"
_RED, _GREEN, _YELLOW, _BLUE, _BOLD = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[1m"
# By the first word of a line.
_COLOURS = {
    "ok": _GREEN,
    "drift": _RED,
    "error": _RED,
    "incomparable": _YELLOW,
    "unused": _YELLOW,
    "new": _BLUE,
    "NEW:": _BLUE,
    "cause": _BOLD,
    "upgrade": _BOLD,
    "page:": _BOLD,
    "FAILED": _RED,
    "PASSED": _GREEN,
    "DONE": _BLUE,
}
_OWN = re.compile(r"(\x1b\[(?:0|1|31|32|33|36)m)")
_INDENT = "  "
_NARROWEST = 40
# Lines one after the other that begin with the same word; more of them would push the others off the screen.
_ALIKE = 50
# The last command of a line, from its name on: it stands on a line of its own, whole, to be copied.
_COMMAND = re.compile(r" (xai-eval [a-z]+(?:-[a-z]+)* [^:;]*--.*)$")


def for_eyes(lines: Iterable[str], stream: TextIO) -> Iterator[str]:
    """Yield lines as they are printed on a stream: if a person looks at it, laid out for its width, coloured, and of
    many lines that begin with the same word only the first ones.

    Colours: unless `NO_COLOR` is set (no-color.org), or the terminal is `dumb`. `FORCE_COLOR` asks for them elsewhere.
    """
    looked_at, colours = stream.isatty(), has_colours(stream)
    width = max(_NARROWEST, shutil.get_terminal_size().columns)
    for line in _first_of_many(lines) if looked_at else lines:
        for part in laid_out(line, width) if looked_at else [line]:
            yield coloured(part) if colours else part


def _first_of_many(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines without those of a long list that nobody would read."""
    for word, group in itertools.groupby(lines, key=lambda line: line.split(" ", 1)[0]):
        alike = list(group)
        shown = _ALIKE if word else len(alike)
        yield from alike[:shown]
        if alike[shown:]:
            more = f"{len(alike) - shown} more that begin with {word!r}"
            yield f"{_INDENT}and {more}: all of them are printed into a pipe or a file."


def has_colours(stream: TextIO) -> bool:
    """Tell whether what is printed on a stream may be coloured."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def laid_out(line: str, width: int) -> list[str]:
    """Break a line between words, so that its parts fit `width` columns; a command at its end stays in one piece."""
    if len(line) <= width:
        return [line]
    command = _COMMAND.search(line)
    text = line[: command.start()] if command else line
    parts = textwrap.wrap(
        text, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return [*parts, *([_INDENT + command[1]] if command else [])]


def visible_but_colours(text: str) -> str:
    """Show what nobody would see of a text, as `visible` does, but for the colours of this module."""
    return "".join(part if _OWN.fullmatch(part) else visible(part) for part in _OWN.split(text))


def coloured(line: str) -> str:
    """Colour the first word of a line by what it says."""
    word = line.split(" ", 1)[0]
    colour = _COLOURS.get(word)
    return f"{colour}{word}{_RESET}{line[len(word) :]}" if colour else line
