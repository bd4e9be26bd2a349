"""Markdown as GitHub and GitLab read it: a name in it is text, calls nobody and leads nowhere."""

from __future__ import annotations

import re

from xai_eval.media.characters import LONGEST, shortened, visible
from xai_eval.media.ci_commands import inert

# A space without width, by its name. A service looks for names, addresses and numbers after Markdown was read, so that
# a backslash does not stop it; a space does.
_APART = "&#8203;"
_SPECIAL = re.compile(
    r"(?P<mark>[\\`*\[\]|<>&~$]|(?<!\w)_|_(?!\w))"
    r"|(?P<before>[@#]|[!%](?=[\w\"])|(?<=\bGH)-(?=\d)|:(?=//)|\b(?:mailto|xmpp):|\bwww(?=\.)|(?<![0-9a-z_])[0-9a-f]{6}(?=[0-9a-f]+\b)|(?<=[0-9a-f]{6})[0-9a-f]{6}(?=[0-9a-f]))",
    re.IGNORECASE,
)
# What begins a list, or makes a heading of the line before, where a line begins with the words.
_FIRST = re.compile(r"^(\d{0,9})(=|[-+](?=[\s+-]|$)|(?<=\d)[.)](?=\s|$))")
_BEHIND = "~$&"  # names of labels, snippets and epics of GitLab begin so


def text(words: str, longest: int = LONGEST) -> str:
    """Return words as one line of Markdown that shows them.

    No markup, no HTML, no formula, no mention of a person or team, no address, no issue, no commit; `longest` limits
    the words, and what is left out is said.
    """
    shown = inert(visible(" ".join(shortened(words, longest).split())))
    return _FIRST.sub(r"\1\\\2", _SPECIAL.sub(_escaped, shown))


def code(words: str, longest: int = LONGEST, *, in_table: bool = False) -> str:
    """Return words as code, which can be copied as they are. In a table, a vertical bar needs a backslash."""
    shown = inert(visible(shortened(words, longest)).replace("\n", " ").replace("\t", " ")) or " "
    if in_table:
        # Of backslashes before a bar, those of the text must not escape that of the bar.
        shown = shown.replace("\\|", "\\ |").replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def row(cells: list[str]) -> str:
    """Return a row of a table of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |"


def _escaped(found: re.Match[str]) -> str:
    if found["mark"] is None:
        return f"{found[0]}{_APART}"
    following = found.string[found.end() : found.end() + 1]
    apart = _APART if found[0] in _BEHIND and (following.isalnum() or following == '"') else ""
    return f"\\{found[0]}{apart}"
