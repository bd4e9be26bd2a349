"""Tables of many rows, as CSV alone and written part by part: their rows fill the memory, and nobody prints them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from xai_eval.media.csv_cell import csv_cell
from xai_eval.report.cases import ReportCase
from xai_eval.result.fields import Table, UnitLabels
from xai_eval.result.fields.table import Column

# Rows of a table that is written as Markdown and LaTeX as well; that many are a thousand pages of print.
MOST_ROWS = 50_000
_CASES = 512  # of one part
_NUMBERS = {"int", "float", "missing"}
_DTYPES = {"bool": "bool", "int": "int64"}


@dataclass
class Shape:
    """What the tables of one field have, taken together.

    Attributes:
        cases: how many cases have the field.
        rows: of all of them.
        models: of these cases.
        columns: for each column, in how many cases it has which type.
    """

    cases: int = 0
    rows: int = 0
    models: dict[str, None] = field(default_factory=dict)
    columns: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def long(self) -> bool:
        """Whether the table has too many rows to be read."""
        return self.rows > MOST_ROWS

    def add(self, model: str, columns: Sequence[Column]) -> None:
        """Count the table of one case."""
        self.models[model] = None
        self.cases += 1
        self.rows += len(columns[0].values)
        for column in columns:
            self.columns.setdefault(column.name, Counter())[column.type] += 1

    def dtype(self, name: str) -> str:
        """Return the type of a column in which cells of some cases may be missing, as pandas joins such columns."""
        types = set(self.columns[name]) | ({"missing"} if self.columns[name].total() < self.cases else set())
        lone = "".join(types) if len(types) == 1 else ""
        return _DTYPES.get(lone, "float64" if types <= _NUMBERS else "object")


def tables_of(case: ReportCase) -> dict[str, Table | UnitLabels]:
    """Return all fields of a case that have rows, in order."""
    found: dict[str, Table | UnitLabels] = {**case.fields(Table), **case.fields(UnitLabels)}
    return {name: found[name] for name in (case.obtained.fields if case.obtained else ()) if name in found}


def shapes_of(cases: Iterable[ReportCase]) -> Mapping[str, Shape]:
    """Return what the tables of each field have, in the order of the fields."""
    shapes: dict[str, Shape] = {}
    for case in cases:
        for name, table in tables_of(case).items():
            shapes.setdefault(name, Shape()).add(case.verdict.case.model, _columns(table))
    return shapes


def csv_parts(cases: Sequence[ReportCase], name: str, shape: Shape) -> Iterator[bytes]:
    """Yield the rows of one field of all cases as CSV, after their input and, if there are several, their model."""
    several = len({case.verdict.case.model for case in cases}) > 1
    header = True
    for start in range(0, len(cases), _CASES):
        own = ((case, tables_of(case).get(name)) for case in cases[start : start + _CASES])
        frame = _frame([(case, _columns(table)) for case, table in own if table is not None], shape, several=several)
        if len(frame):
            yield csv(frame, header=header).encode()
            header = False


def csv(frame: pd.DataFrame, *, header: bool = True) -> str:
    """Render a frame as CSV, in which no text is a formula of a spreadsheet."""
    shown = frame.copy()
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if not is_number(column):
            shown.isetitem(place, [csv_cell(value) for value in column])
    shown.columns = pd.Index([csv_cell(str(name)) for name in frame.columns])
    return shown.to_csv(index=False, header=header, lineterminator="\n")


def is_number(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers, and not yes and no."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _frame(tables: Sequence[tuple[ReportCase, Sequence[Column]]], shape: Shape, *, several: bool) -> pd.DataFrame:
    cells: list[list[Any]] = [[] for _ in range(1 + several + len(shape.columns))]
    for case, columns in tables:
        verdict, rows, values = case.verdict, len(columns[0].values), {each.name: each.values for each in columns}
        of_case = [verdict.case.input, verdict.case.model][: 1 + several]
        every = [*([each] * rows for each in of_case), *(values.get(n, [math.nan] * rows) for n in shape.columns)]
        for column, added in zip(cells, every, strict=True):
            column.extend(added)
    dtypes = [*["object"] * (1 + several), *map(shape.dtype, shape.columns)]
    series = [pd.Series(column, dtype=dtype) for column, dtype in zip(cells, dtypes, strict=True)]
    frame = pd.DataFrame(dict(enumerate(series)))
    frame.columns = pd.Index([*["input", "model"][: 1 + several], *shape.columns])
    return frame


def _columns(table: Table | UnitLabels) -> Sequence[Column]:
    return table.columns if isinstance(table, Table) else Table(table.frame).columns
