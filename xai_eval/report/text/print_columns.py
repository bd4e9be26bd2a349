"""Chooses the columns of a table for print: a page is narrow, and the CSV beside it has them all. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xai_eval.report.text.wording import cell_text
from xai_eval.result.naming import words

# Of units, print says which they are, what they are called, and how sure that is.
_UNITS = ("unit", "label", "score")
_OF_UNITS = frozenset(
    {"layer", "index", "dead", "top_images", "second_margin", "p_value", "correlation", "auprc", "f1"},
)
_INDEX = "_index"  # the number of a class, beside its name
_LONGEST = 40  # letters of a value that a caption repeats


@dataclass(frozen=True)
class Printed:
    """The columns that are printed, and a sentence on what the others have in all rows; it may be empty."""

    frame: pd.DataFrame
    note: str


def for_print(frame: pd.DataFrame, said: Collection[str] = ()) -> Printed:
    """Leave out columns that print can do without.

    These are numbers of classes beside their names, details of units, and what is the same in all of several rows. That
    is told, but for values that were `said` already, and for empty ones.
    """
    places = [place for place, name in enumerate(frame.columns) if not _beside(str(name), set(frame.columns))]
    same = {} if len(frame) < 2 else {place: text for place in places if (text := _only(frame.iloc[:, place]))}
    if len(same) == len(places):  # nothing would be left
        same = {}
    told = [f"{words(str(frame.columns[place]))} {text}" for place, text in same.items() if text not in (*said, "–")]
    kept = frame.iloc[:, [place for place in places if place not in same]]
    return Printed(kept, f"In all rows: {', '.join(told)}." if told else "")


def _beside(name: str, names: Collection[str]) -> bool:
    of_class = name.endswith(_INDEX) and name.removesuffix(_INDEX) in names
    return of_class or (name in _OF_UNITS and set(names) >= set(_UNITS))


def _only(column: pd.Series[Any]) -> str:
    """Return the value that all rows of a column have; empty if they differ, or if it is long."""
    texts = set(_texts(column))
    return texts.pop() if len(texts) == 1 and len(max(texts)) <= _LONGEST else ""


def _texts(column: pd.Series[Any]) -> Iterator[str]:
    return (cell_text(value) for value in column)
