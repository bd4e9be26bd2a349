"""Makes a table field of a data frame of any form, or says in one sentence why that is not possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from xai_eval.errors import UsageError
from xai_eval.result.bare.tolerances import Tolerance, of_columns
from xai_eval.result.bare.wrong_value import wrong_value
from xai_eval.result.fields import Table

_NUMBERED = "row"


def table_of(frame: pd.DataFrame, tolerance: Tolerance, where: str) -> Table:
    """Make a table whose rows are named by the index, by a first column of unique texts, or by their number.

    NaN is a missing cell. Columns of bools, integers and texts must stay the same.

    Raises:
        UsageError: the frame is empty, repeats a column or the name of a row, or has cells that cannot be compared.
    """
    named = _named(frame, where)
    for name, column in named.items():
        _check_cells(str(name), column, where)
    floats = [name for name in named.columns[1:] if pd.api.types.is_float_dtype(named[name])]
    largest = {str(name): float(np.nan_to_num(named[name].abs().max())) for name in floats}
    return Table(named, of_columns(tolerance, largest, where), named_rows=_has_names(frame, named))


def _has_names(frame: pd.DataFrame, named: pd.DataFrame) -> bool:
    """Whether rows have names that mean something: texts, dates or an index with a name, not the usual numbers.

    Numbers without a name are places, also if a sort has mixed them: then the order is what the frame says.
    """
    by_first_column = len(named.columns) == len(frame.columns)
    return by_first_column or frame.index.name is not None or not pd.api.types.is_numeric_dtype(frame.index)


def _named(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the frame with the names of its rows as the first column, as texts."""
    if not len(frame) or not len(frame.columns):
        raise wrong_value(where, frame, "It is empty: check that it was filled.")
    frame = frame.set_axis([str(name) for name in frame.columns], axis="columns")
    if not frame.columns.is_unique:
        raise wrong_value(where, frame, f"It has two columns of one name among {list(frame.columns)}: rename one.")
    if isinstance(frame.index, pd.RangeIndex):
        first = frame.iloc[:, 0]
        if first.is_unique and all(isinstance(cell, str) for cell in first):
            return frame
    if not frame.index.is_unique:
        raise wrong_value(where, frame, "Two of its rows have one name in the index: make the index unique.")
    name = next(each for each in (str(frame.index.name or _NUMBERED), "index", "key") if each not in frame.columns)
    result = frame.reset_index(drop=True)
    result.insert(0, name, [str(each) for each in frame.index])
    return result


def _check_cells(name: str, column: pd.Series[Any], where: str) -> None:
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_integer_dtype(column):
        return
    if pd.api.types.is_float_dtype(column):
        if np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any():
            raise UsageError(f"{where}, column {name!r}, has infinite values; expected finite numbers.")
        return
    other = next((cell for cell in column if not isinstance(cell, str) and cell is not None and cell == cell), None)
    if other is not None:
        raise UsageError(
            f"{where}, column {name!r}, holds a {type(other).__name__}; expected texts, bools, integers or floats."
        )
