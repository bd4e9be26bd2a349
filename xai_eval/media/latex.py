"""LaTeX: a cell of a table is text, with no command, formula or comment in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from xai_eval.media.characters import shortened, visible

_SPECIAL = re.compile(r"[\\~^] ?|[&%$#_{}]")
_NAMES = {"\\": r"\textbackslash ", "~": r"\textasciitilde ", "^": r"\textasciicircum "}


def row(cells: Iterable[str]) -> str:
    """Return one row of a tabular; `DataFrame.to_latex` writes the same, but only a thousand rows per second."""
    joined = " & ".join(map(text, cells))
    # Behind the \\ of the row before, LaTeX takes [ and * for options of it, as booktabs does behind its rules.
    protected = re.sub(r"^[\[*]", r"{\g<0>}", joined)
    return f"{protected} \\\\"


def text(words: str) -> str:
    """Return words as one line of LaTeX that prints them."""
    return _SPECIAL.sub(_escaped, " ".join(visible(shortened(words)).split()))


def _escaped(found: re.Match[str]) -> str:
    # In LaTeX, a command such as \textbackslash swallows the space after it.
    space = "\\space " if found[0].endswith(" ") else ""
    return _NAMES.get(found[0][0], f"\\{found[0][0]}") + space
