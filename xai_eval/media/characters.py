"""Characters that nobody sees, or that move others, as escapes; and texts that are too long to be shown whole.

Every medium begins with these two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Characters of a text that is shown; the rest is counted.
LONGEST = 4_000
_ROOM = 40  # for the words that tell it

# Printed without ink, although Python calls them printable: fillers, joiners and selectors of variants (Unicode's
# Default_Ignorable_Code_Point). Texts can be hidden in them.
_WITHOUT_INK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# One letter carries at most this many marks in any script that is in use; hundreds of them cover the lines around.
_MARKS = 4
_NOT_ASCII_TEXT = re.compile(r"[^\x20-\x7e\n\t]+")


def escape(character: str) -> str:
    """Return a character as Python and shells write it: `\\x1b`, `\\u202e` or `\\U000e0001`."""
    code = ord(character)
    if code < 0x80:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return a text of at most `longest` characters; one that is cut ends with how much was left out."""
    if len(text) <= longest:
        return text
    kept = max(longest - _ROOM, 0)
    return f"{text[:kept]} ... ({len(text) - kept:,} more characters)"


def says_nothing(text: str) -> bool:
    """Whether nobody sees anything of a text, because it is empty, or has spaces and hidden characters only."""
    return not any(_is_seen(each) and not each.isspace() for each in text)


def visible(text: str, escaped: Callable[[str], str] = escape) -> str:
    """Return text in which every character that is not seen is an escape, such as `\\x1b` or `\\u202e`.

    These are control characters, those that turn the direction of writing or have no width, halves of characters, and
    marks heaped on one letter. Ends of lines, tabs and spaces of any kind stay. `escaped` writes one such character.
    """

    def seen(run: re.Match[str]) -> str:
        parts, marks = [], 0
        for each in run[0]:
            marks = marks + 1 if unicodedata.category(each)[0] == "M" else 0
            parts.append(each if _is_seen(each) and marks <= _MARKS else escaped(each))
        return "".join(parts)

    return _NOT_ASCII_TEXT.sub(seen, text)


def _is_seen(character: str) -> bool:
    if _WITHOUT_INK.match(character):
        return False
    return character.isprintable() or unicodedata.category(character) == "Zs"
