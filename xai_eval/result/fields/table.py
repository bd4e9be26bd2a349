"""A data frame whose columns have tolerances."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pandas as pd
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Extensible, Finding, Severity, Shift
from xai_eval.result.fields.numbers import apart, from_json, to_json

_DTYPES = {"bool": "bool", "int": "int64", "float": "float64", "text": "object"}


@dataclass(frozen=True)
class Column:
    """One column as plain Python values: reading and comparing them costs a small part of what a data frame costs.

    Attributes:
        name: heading.
        type: `bool`, `int`, `float` or `text`.
        values: of that type; text may be None.
    """

    name: str
    type: str
    values: tuple[Any, ...]

    def meta(self) -> dict[str, Any]:
        """JSON values."""
        values = [to_json(v) for v in self.values] if self.type == "float" else list(self.values)
        return {"name": self.name, "type": self.type, "values": values}

    @classmethod
    def restore(cls, meta: Mapping[str, Any]) -> Self:
        """Rebuild from storage."""
        if meta["type"] not in _DTYPES:
            raise ValueError(f"a column is of type {meta['type']!r}, expected one of {', '.join(_DTYPES)}")
        values = map(from_json, meta["values"]) if meta["type"] == "float" else meta["values"]
        return cls(meta["name"], meta["type"], tuple(values))

    @classmethod
    def of(cls, name: str, series: pd.Series[Any]) -> Self:
        """Take the values of a series."""
        return cls(name, _type_of(series), tuple(series.tolist()))


@dataclass(frozen=True, init=False)
class Table(Extensible):
    """Rows keyed by the first column (text, unique).

    Attributes:
        columns: all of one length.
        tolerance: absolute tolerance by column; a float column without one must not differ at all.
        unjudged: columns for reading alone, such as times and sentences; a golden does not keep them, nor a table
            that has no others.
    """

    kind: ClassVar[str] = "table"
    part: ClassVar[str] = "column"
    columns: tuple[Column, ...]
    tolerance: Mapping[str, float]
    unjudged: tuple[str, ...]

    def __init__(
        self, frame: pd.DataFrame, tolerance: Mapping[str, float] | None = None, unjudged: tuple[str, ...] = ()
    ) -> None:
        """Make a table of a frame whose columns are text (None allowed), bool, int or float."""
        plain = _with_plain_text(frame)
        self._set(tuple(Column.of(str(name), column) for name, column in plain.items()), tolerance or {}, unjudged)
        vars(self)["frame"] = plain

    def _set(self, columns: tuple[Column, ...], tolerance: Mapping[str, float], unjudged: tuple[str, ...]) -> None:
        keys, seen = columns[0].values, set[Any]()
        for key in keys:
            if key in seen:
                raise ValueError(f"rows of a table are keyed by its first column, which repeats {key!r}")
            seen.add(key)
        if any(len(column.values) != len(keys) for column in columns):
            raise ValueError(f"columns of a table are of one length, got {[len(each.values) for each in columns]}")
        vars(self).update(columns=columns, tolerance=tolerance, unjudged=unjudged)

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The table as a data frame."""
        return pd.DataFrame({c.name: pd.Series(list(c.values), dtype=_DTYPES[c.type]) for c in self.columns})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Cells are stored as text, so that a change of them can be read in a review."""
        return {}

    def meta(self) -> dict[str, Any]:
        """Columns with their types, and tolerances."""
        columns = [column.meta() for column in self.columns]
        return {"columns": columns, "tolerance": dict(self.tolerance), "unjudged": list(self.unjudged)}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        columns = tuple(Column.restore(each) for each in meta["columns"])
        return cls.of_columns(columns, meta["tolerance"], tuple(meta.get("unjudged", ())))

    @classmethod
    def of_columns(
        cls,
        columns: tuple[Column, ...],
        tolerance: Mapping[str, float] | None = None,
        unjudged: tuple[str, ...] = (),
    ) -> Self:
        """Make a table of columns as they are stored; a ValueError where their lengths differ or keys repeat."""
        table = cls.__new__(cls)
        table._set(columns, tolerance or {}, unjudged)
        return table

    @classmethod
    def for_reading(cls, frame: pd.DataFrame) -> Self:
        """A table of which nothing is judged, because it follows from fields that are."""
        return cls(frame, unjudged=tuple(map(str, frame.columns)))

    def condensed(self) -> Table | None:
        """Tables are small already; what is not judged is not kept."""
        judged = tuple(column for column in self.columns if column.name not in self.unjudged)
        return Table.of_columns(judged, self.tolerance) if judged else None

    def parts(self) -> tuple[str, ...]:
        """The judged columns behind the key."""
        return tuple(column.name for column in self.columns if column.name not in self.unjudged)[1:]

    def without(self, names: Collection[str]) -> Table:
        """The table without the columns `names`."""
        kept = tuple(column for column in self.columns if column.name not in names)
        return Table.of_columns(kept, self.tolerance, self.unjudged)

    def compare(self, golden: Table, name: str) -> tuple[Finding, ...]:
        """Compare columns, rows, then every cell of what both judge."""
        if self.unjudged or golden.unjudged:
            now, was = self.condensed(), golden.condensed()
            return now.compare(was, name) if now is not None and was is not None else ()
        for what, obtained, expected in (
            ("columns", [c.name for c in self.columns], [c.name for c in golden.columns]),
            ("rows", list(self.columns[0].values), list(golden.columns[0].values)),
        ):
            if obtained != expected:
                sentence = f"{what} {expected} became {obtained}"
                return (Finding(name, Severity.NUMBERS, what, sentence),)
        cells = [
            self._compare_cell(name, f"{now.name} of {key}", obtained, expected, self.tolerance.get(now.name, 0.0))
            for now, was in zip(self.columns[1:], golden.columns[1:], strict=True)
            for key, obtained, expected in zip(self.columns[0].values, now.values, was.values, strict=True)
            if obtained != expected
        ]
        return tuple(finding for finding in cells if finding)

    def distances(self, other: Table) -> tuple[Distance, ...]:
        """The largest difference of a number in every column; 1 for another text, which has no tolerance."""
        now, was = self.condensed(), other.condensed()
        if now is None or was is None:
            return ()
        if not now._comparable(was):
            return (Distance("rows and columns", math.inf, 0.0),)
        return tuple(
            Distance(column.name, max(_apart(column, before), default=0.0), self._limit(column.name))
            for column, before in zip(now.columns[1:], was.columns[1:], strict=True)
        )

    def shifts(self, golden: Table) -> tuple[Shift, ...]:
        """The mean difference of every column of numbers."""
        now, was = self.condensed(), golden.condensed()
        if now is None or was is None or not now._comparable(was):
            return ()
        return tuple(
            Shift(column.name, _mean_difference(column, before), self._limit(column.name))
            for column, before in zip(now.columns[1:], was.columns[1:], strict=True)
            if column.type == before.type == "float" and column.values
        )

    def _comparable(self, other: Table) -> bool:
        same_columns = [column.name for column in self.columns] == [column.name for column in other.columns]
        return same_columns and self.columns[0].values == other.columns[0].values

    def _limit(self, column: str) -> float:
        return self.tolerance.get(column, 0.0)

    @staticmethod
    def _compare_cell(name: str, place: str, now: Any, was: Any, limit: float) -> Finding | None:
        if not (_is_quantity(now) and _is_quantity(was)):
            return Finding(name, Severity.EVIDENCE, place, f"{place}: {was!r} became {now!r}")
        distance = apart(now, was)
        sentence = f"{place}: {was:.4g} became {now:.4g} (limit {limit:g})"
        return Finding(name, Severity.NUMBERS, place, sentence, distance, limit) if distance > limit else None


def _apart(now: Column, was: Column) -> Iterator[float]:
    for value, before in zip(now.values, was.values, strict=True):
        numbers = _is_quantity(value) and _is_quantity(before)
        yield apart(value, before) if numbers else float(value != before)


def _mean_difference(now: Column, was: Column) -> float:
    """Mean over the rows in which both have a number; NaN where there are none."""
    pairs = zip(now.values, was.values, strict=True)
    differences = [value - before for value, before in pairs if not math.isnan(value - before)]
    return sum(differences) / len(differences) if differences else math.nan


def _is_quantity(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _with_plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as Python strings or None: what pandas makes of missing text differs between its versions."""
    plain = {
        name: column
        if _type_of(column) != "text"
        else pd.Series([None if pd.isna(v) else str(v) for v in column], dtype="object")
        for name, column in frame.reset_index(drop=True).items()
    }
    return pd.DataFrame(plain)


def _type_of(column: pd.Series[Any]) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "bool"
    if pd.api.types.is_integer_dtype(column):
        return "int"
    return "float" if pd.api.types.is_float_dtype(column) else "text"
