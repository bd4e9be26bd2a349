"""The one reader of TOML: it refuses what costs more to read than a configuration file is worth."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from xai_eval.disk.bounds import DEEPEST, LARGEST_WHOLE, LONGEST_TEXT, require_size
from xai_eval.disk.typed import WrongValue, below, shown

MOST_TOML_BYTES = 256 * 2**10
# Names with dots between them, in a key or a heading. The time for one key grows with the square of its names.
MOST_NAMES = 12
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"""(?<![\w\\-])(?:{_PART}[ \t]*+\.[ \t]*+){{{MOST_NAMES}}}""")


def parse_toml(content: str | bytes) -> dict[str, Any]:
    """Return what a TOML document in UTF-8 says.

    Raises:
        ValueError: it is not TOML, not UTF-8, too large, nested too deeply, or holds a text or a number that is too
            long.
    """
    require_size(len(content), MOST_TOML_BYTES)
    text = content if isinstance(content, str) else _decoded(content)
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"in line {line}, more than {MOST_NAMES} names are joined by dots")
    try:
        document = tomllib.loads(text)
        _check(document, 0)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return document


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not in UTF-8, in which it has to be saved") from error


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise WrongValue(f"is nested more than {DEEPEST} deep; expected less")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise WrongValue(f"has {len(value):,} characters; expected at most {LONGEST_TEXT:,}")
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise WrongValue(f"is {shown(value)}; expected a smaller one")
    parts = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for part, each in parts:
        below(part, lambda inner: _check(inner, depth + 1), each)
