"""XML, such as JUnit files: pytest writes and escapes it; a character that XML 1.0 forbids is shown before."""

from __future__ import annotations

from xai_eval.media.characters import shortened, visible
from xai_eval.media.ci_commands import inert


def text(words: str) -> str:
    """Return words for an attribute or element, which whoever writes the XML escapes.

    CI services print such files into their logs, too.
    """
    return "\n".join(map(inert, visible(shortened(words)).split("\n")))
