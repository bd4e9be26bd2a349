"""LaTeX: a cell of a table is text, with no command, formula or comment in it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from xai_eval.media.characters import shortened, visible

_SPECIAL = re.compile(r"[\\~^] ?|[&%$#_{}]")
# Letters from which on a cell is broken, how wide it is then, and letters in a line of a heading.
_LONG, _NARROW, _HEADING = 30, "3.5cm", 12
SMALL = (r"\footnotesize", r"\setlength{\tabcolsep}{3pt}")  # within a group, for a table of many columns
_NAMES = {"\\": r"\textbackslash ", "~": r"\textasciitilde ", "^": r"\textasciicircum "}


def row(cells: Iterable[str]) -> str:
    """Return one row of a tabular; `DataFrame.to_latex` writes the same, but only a thousand rows per second."""
    joined = " & ".join(map(text, cells))
    # Behind the \\ of the row before, LaTeX takes [ and * for options of it, as booktabs does behind its rules.
    protected = re.sub(r"^[\[*]", r"{\g<0>}", joined)
    return f"{protected} \\\\"


def broken_row(cells: Iterable[str], sides: Iterable[str]) -> str:
    """Return a row whose long cells are broken over lines; `sides` says of each whether it stands left, `l`, or `r`."""
    joined = " & ".join(map(_broken, cells, sides))
    return f"{joined} \\\\"


def column(side: str, cells: Iterable[str]) -> str:
    """Return the kind of a column: to the left or the right, or as narrow as a long text needs to be broken."""
    return f"p{{{_NARROW}}}" if any(len(cell) > _LONG for cell in cells) else side


def _broken(cell: str, side: str) -> str:
    whole = " ".join(visible(shortened(cell)).split())
    lines = textwrap.wrap(whole, _HEADING, break_long_words=False, break_on_hyphens=False)
    # In braces, so that no line is an option of the break before it.
    broken = r"\\".join(f"{{{text(each)}}}" for each in lines)
    return broken if len(lines) < 2 else f"\\shortstack[{side}]{{{broken}}}"


def text(words: str) -> str:
    """Return words as one line of LaTeX that prints them."""
    return _SPECIAL.sub(_escaped, " ".join(visible(shortened(words)).split()))


def _escaped(found: re.Match[str]) -> str:
    # In LaTeX, a command such as \textbackslash swallows the space after it.
    space = "\\space " if found[0].endswith(" ") else ""
    return _NAMES.get(found[0][0], f"\\{found[0][0]}") + space
