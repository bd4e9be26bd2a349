"""Numbers, counts and text as people read them, the same on the page, in figures and in tables."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd


def cell_text(value: Any) -> str:
    """Return a table's cell for reading: four digits, yes and no, a dash where there is no value."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def slug(text: str, length: int = 80) -> str:
    """Return text as part of a file name, valid on every file system; `gradcam++` and `gradcam` stay different."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text.replace("+", "plus"))
    return plain.strip("-")[:length].strip("-") or "unnamed"


def count(number: int, noun: str) -> str:
    """Return '1 case', '2 cases'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
