"""Numbers, counts and text as people read them, the same on the page, in figures and in tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

_DIGITS = 10  # of a commit, as people read it


def cell_text(value: Any) -> str:
    """Return a table's cell for reading: four digits, yes and no, a dash where there is no value."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def text_rows(frame: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a frame for reading; the numbers of a column have the same decimals, so their points align."""
    columns = [column_texts(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return zip(*columns, strict=True)


def column_texts(column: pd.Series[Any]) -> list[str]:
    """Return the cells of a column for reading.

    Numbers get as many decimals as that one of them needs which needs most for four digits; a column with very large or
    very small ones is left as `cell_text` writes it.
    """
    texts = [cell_text(value) for value in column]
    if not pd.api.types.is_float_dtype(column) or any("e" in text for text in texts):
        return texts
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [f"{value:.{decimals}f}" if np.isfinite(value) else text for value, text in zip(column, texts, strict=True)]


def number_texts(values: Sequence[float | None]) -> list[str]:
    """Return the numbers of a column for reading, with the same decimals; a dash where there is none."""
    return column_texts(pd.Series(values, dtype=float))


def slug(text: str, length: int = 80) -> str:
    """Return text as part of a file name, valid on every file system; `gradcam++` and `gradcam` stay different."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text.replace("+", "plus"))
    return plain.strip("-")[:length].strip("-") or "unnamed"


def commit_words(commit: str, *, uncommitted: bool) -> str:
    """Return '1f2e3d4c5b with uncommitted changes'; empty if the commit is unknown."""
    return f"{commit[:_DIGITS]}{' with uncommitted changes' if uncommitted else ''}" if commit else ""


def count(number: int, noun: str) -> str:
    """Return '1 case', '2 cases'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
