"""Which columns of a table hold numbers, which stand at the right with their points below each other."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?(\d+(\.\d+)?(e[-+]?\d+)?|inf)")
_NOTHING = ("", "–")


def number_columns(rows: Sequence[Sequence[str]]) -> tuple[bool, ...]:
    """Say for each column whether every cell of it is a number or missing, and at least one is a number."""
    return tuple(
        any(map(_NUMBER.fullmatch, column)) and all(each in _NOTHING or _NUMBER.fullmatch(each) for each in column)
        for column in zip(*rows, strict=True)
    )
