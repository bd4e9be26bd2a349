"""Cells of CSV files that programs for spreadsheets open: text stays text there, and no formula."""

from __future__ import annotations

import re
from typing import Any

from xai_eval.media.characters import shortened, visible

_LONGEST = 32_000  # characters of a cell; Excel takes 32,767

# A cell that begins so is computed (OWASP, CSV injection), also in the wide forms of East Asian keyboards. Behind a
# semicolon, a tab or the end of a line begins a cell where a program takes these for separators.
_FORMULA = re.compile(r"(^|[;\t\n])([ \xa0\"']*)([=+\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_TAB = re.compile(r"^(?=[\t\n])")


def csv_cell(value: Any) -> Any:
    """Return the value of a cell: text that a spreadsheet would compute gets an apostrophe, numbers stay numbers."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return _TAB.sub("'", _FORMULA.sub(r"\1'\2\3", visible(shortened(value, _LONGEST))))
