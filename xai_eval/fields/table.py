"""A data frame whose columns have tolerances."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import pandas as pd
from numpy.typing import NDArray

from xai_eval.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.fields.numbers import apart, from_json, to_json


@dataclass(frozen=True)
class Table:
    """Rows keyed by the first column (text, unique).

    Attributes:
        frame: columns of text (None allowed), bool, int or float.
        tolerance: absolute tolerance by column; a float column without one must not differ at all.
        unjudged: columns for reading alone, such as times and sentences; a golden does not keep them, nor a table
            that has no others.
    """

    kind: ClassVar[str] = "table"
    frame: pd.DataFrame
    tolerance: Mapping[str, float] = field(default_factory=dict)
    unjudged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _with_plain_text(self.frame))
        keys = self.frame.iloc[:, 0]
        if keys.duplicated().any():
            raise ValueError(
                f"rows of a table are keyed by its first column, which repeats {keys[keys.duplicated()].iloc[0]!r}"
            )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Cells are stored as text, so that a change of them can be read in a review."""
        return {}

    def meta(self) -> dict[str, Any]:
        """Columns with their types, and tolerances."""
        columns = [_store_column(str(name), self.frame[name]) for name in self.frame.columns]
        return {"columns": columns, "tolerance": dict(self.tolerance), "unjudged": list(self.unjudged)}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        frame = pd.DataFrame({column["name"]: _restore_column(column) for column in meta["columns"]})
        return cls(frame, meta["tolerance"], tuple(meta.get("unjudged", ())))

    @classmethod
    def for_reading(cls, frame: pd.DataFrame) -> Self:
        """A table of which nothing is judged, because it follows from fields that are."""
        return cls(frame, unjudged=tuple(map(str, frame.columns)))

    def condensed(self) -> Table | None:
        """Tables are small already; what is not judged is not kept."""
        return Table(self.frame[self._judged], self.tolerance) if self._judged else None

    def compare(self, golden: Table, name: str) -> tuple[Finding, ...]:
        """Compare columns, rows, then every cell of what both judge."""
        if self.unjudged or golden.unjudged:
            now, was = self.condensed(), golden.condensed()
            return now.compare(was, name) if now is not None and was is not None else ()
        for what, obtained, expected in (
            ("columns", list(self.frame.columns), list(golden.frame.columns)),
            ("rows", list(self.frame.iloc[:, 0]), list(golden.frame.iloc[:, 0])),
        ):
            if obtained != expected:
                sentence = f"{what} {expected} became {obtained}"
                return (Finding(name, Severity.NUMBERS, what, sentence),)
        cells = [
            self._compare_cell(golden, name, row, column)
            for column in self.frame.columns[1:]
            for row in range(len(self.frame))
        ]
        return tuple(finding for finding in cells if finding)

    def distances(self, other: Table) -> tuple[Distance, ...]:
        """The largest difference of a number in every column; 1 for another text, which has no tolerance."""
        if not self._judged:
            return ()
        if not self._comparable(other):
            return (Distance("rows and columns", math.inf, 0.0),)
        return tuple(
            Distance(column, max(self._column_apart(other, column), default=0.0), self._limit(column))
            for column in self._judged[1:]
        )

    def shifts(self, golden: Table) -> tuple[Shift, ...]:
        """The mean difference of every column of numbers."""
        if not self._judged or not self._comparable(golden):
            return ()
        numbers = [c for c in self._judged[1:] if _is_float(self.frame[c]) and _is_float(golden.frame[c])]
        changes = {c: self.frame[c].to_numpy() - golden.frame[c].to_numpy() for c in numbers}
        return tuple(Shift(c, float(each.mean()), self._limit(c)) for c, each in changes.items() if len(each))

    @property
    def _judged(self) -> list[str]:
        return [str(column) for column in self.frame.columns if column not in self.unjudged]

    def _comparable(self, other: Table) -> bool:
        return self._judged == other._judged and list(self.frame.iloc[:, 0]) == list(other.frame.iloc[:, 0])

    def _limit(self, column: str) -> float:
        return self.tolerance.get(column, 0.0)

    def _column_apart(self, other: Table, column: str) -> Iterator[float]:
        for now, was in zip(self.frame[column].tolist(), other.frame[column].tolist(), strict=True):
            numbers = _is_quantity(now) and _is_quantity(was)
            yield apart(now, was) if numbers else float(now != was)

    def _compare_cell(self, golden: Table, name: str, row: int, column: str) -> Finding | None:
        now, was = (_plain(table.frame[column].iloc[row]) for table in (self, golden))
        place = f"{column} of {self.frame.iloc[:, 0].iloc[row]}"
        if _is_quantity(now) and _is_quantity(was):
            limit = self._limit(column)
            distance = apart(now, was)
            sentence = f"{place}: {was:.4g} became {now:.4g} (limit {limit:g})"
            return Finding(name, Severity.NUMBERS, place, sentence, distance, limit) if distance > limit else None
        if now == was:
            return None
        return Finding(name, Severity.EVIDENCE, place, f"{place}: {was!r} became {now!r}")


def _plain(cell: Any) -> Any:
    """Python's own value of a numpy scalar: people read it in sentences."""
    return cell.item() if hasattr(cell, "item") else cell


def _is_quantity(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _with_plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as Python strings or None: what pandas makes of missing text differs between its versions."""
    plain = {
        name: column
        if _is_number(column)
        else pd.Series([None if pd.isna(v) else str(v) for v in column], dtype="object")
        for name, column in frame.reset_index(drop=True).items()
    }
    return pd.DataFrame(plain)


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column)


def _is_float(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_float_dtype(column))


def _store_column(name: str, column: pd.Series[Any]) -> dict[str, Any]:
    if pd.api.types.is_bool_dtype(column):
        return {"name": name, "type": "bool", "values": [bool(v) for v in column]}
    if pd.api.types.is_integer_dtype(column):
        return {"name": name, "type": "int", "values": [int(v) for v in column]}
    if pd.api.types.is_float_dtype(column):
        return {"name": name, "type": "float", "values": [to_json(v) for v in column]}
    return {"name": name, "type": "text", "values": list(column)}


def _restore_column(column: Mapping[str, Any]) -> pd.Series[Any]:
    kind, values = column["type"], column["values"]
    if kind == "float":
        return pd.Series([from_json(v) for v in values], dtype="float64")
    return pd.Series(values, dtype={"bool": "bool", "int": "int64", "text": "object"}[kind])
