"""A table whose columns have tolerances."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pandas as pd

from xai_eval.disk.strict_json import require_distinct
from xai_eval.disk.typed import WrongValue, below, entry, wrong
from xai_eval.result.fields.base import Arrays, Difference, Extensible, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import apart, to_json
from xai_eval.result.fields.possible import Possible, nearest
from xai_eval.result.naming import plain, words

_DTYPES = {"bool": "bool", "int": "int64", "float": "float64", "text": "object"}
_CELLS: Mapping[str, Any] = {
    "bool": tuple[bool, ...],
    "int": tuple[int, ...],
    "float": tuple[float, ...],
    "text": tuple[str | None, ...],
}

# Entries that are stored only if they say something, so that those who have none are stored as before.
_ONLY_IF_SET = ("possible", "read", "named_rows")

# What else rounding could have put into a cell: a range of numbers (no and yes are 0 and 1), other texts, or nothing.
Cell = Possible | tuple[str, ...] | None
Cells = tuple[Cell, ...]


@dataclass(frozen=True)
class PossibleTexts:
    """How a cell is stored that could have held other texts."""

    texts: tuple[str, ...]


# Made once, because to make such a type takes longer than to read an entry.
_POSSIBLE, _TOLERANCES, _NAMES = (
    Mapping[str, tuple[PossibleTexts | Possible | None, ...]],
    Mapping[str, float],
    tuple[str, ...],
)


@dataclass(frozen=True)
class Column:
    """One column as plain Python values, which are read and compared much faster than a data frame.

    Attributes:
        name: heading of the column.
        type: `bool`, `int`, `float` or `text`.
        values: the cells, of this type; a text may be None.
    """

    name: str
    type: str
    values: tuple[Any, ...]

    @classmethod
    def restore(cls, meta: Mapping[str, Any]) -> Self:
        """Rebuild from storage."""
        if not isinstance(meta, Mapping):
            raise wrong(meta, "a column")
        name, kind = (entry(meta, each, str) for each in ("name", "type"))
        if kind not in _CELLS:
            raise wrong(kind, f"one of {', '.join(_CELLS)}").below("type")
        values = entry(meta, "values", _CELLS[kind])
        return cls(name, kind, tuple(map(float, values)) if kind == "float" else values)

    @classmethod
    def of(cls, name: str, series: pd.Series[Any]) -> Self:
        """Take the values of a series."""
        return cls(name, _type_of(series), tuple(series.tolist()))


@register
@dataclass(frozen=True, init=False)
class Table(Extensible):
    """A table whose first column holds unique texts, the keys of the rows. It is stored as JSON, readable in a review.

    Attributes:
        columns: the columns, all of the same length.
        tolerance: largest absolute difference by column; 0 for columns that are not named.
        unjudged: columns that are only for reading, such as times and sentences. A golden does not store them, nor a
            table that has no other columns.
        possible: by column, what rounding could have put into each cell: for numbers and yes or no the smallest and the
            largest value, for texts the other texts. Columns that do not jump are left out.
        read: what a golden keeps of the texts, flags and counts that are only for reading: their digest; empty if
            there are none.
        named_rows: whether rows are known by their names alone, so that their order says nothing. What a golden says
            of it has no effect.
    """

    kind: ClassVar[str] = "table"
    part: ClassVar[str] = "column"
    grows_by_rows: ClassVar[bool] = True  # whether a row that a golden lacks is unwatched
    columns: tuple[Column, ...]
    tolerance: Mapping[str, float]
    unjudged: tuple[str, ...]
    possible: Mapping[str, Cells]
    read: str = dataclasses.field(default="", compare=False)
    named_rows: bool = False

    def __init__(
        self,
        frame: pd.DataFrame,
        tolerance: Mapping[str, float] | None = None,
        unjudged: tuple[str, ...] = (),
        possible: Mapping[str, Cells] | None = None,
        *,
        named_rows: bool = False,
    ) -> None:
        """Make a table of a frame whose columns are text (None allowed), bool, int or float."""
        plain = _with_plain_text(frame)
        vars(self).update(possible=possible or {}, read="", named_rows=named_rows)
        self._set(tuple(Column.of(str(name), column) for name, column in plain.items()), tolerance or {}, unjudged)
        vars(self)["frame"] = plain

    def _set(self, columns: tuple[Column, ...], tolerance: Mapping[str, float], unjudged: tuple[str, ...]) -> None:
        require_distinct("columns of a table", (column.name for column in columns))
        keys, seen = columns[0].values, set[Any]()
        for key in keys:
            if key in seen:
                raise ValueError(f"the first column of a table must be unique, but it repeats {key!r}")
            seen.add(key)
        if any(len(column.values) != len(keys) for column in columns):
            raise ValueError(
                f"columns of a table must have the same length, got {[len(each.values) for each in columns]}"
            )
        vars(self).update(columns=columns, tolerance=tolerance, unjudged=unjudged)

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The table as a data frame."""
        return pd.DataFrame({c.name: pd.Series(list(c.values), dtype=_DTYPES[c.type]) for c in self.columns})

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        columns = restored_columns(meta)
        if not columns:
            raise WrongValue("has no columns; expected the names of the rows in the first one")
        possible = entry(meta, "possible", _POSSIBLE, {})
        if any(len(cells) != len(columns[0].values) for cells in possible.values()):
            raise WrongValue("has not as many cells as rows; expected one each", ".possible")
        cells = {name: tuple(map(_restored_cell, each)) for name, each in possible.items()}
        tolerance, unjudged = entry(meta, "tolerance", _TOLERANCES), entry(meta, "unjudged", _NAMES, ())
        found = cls.of_columns(columns, tolerance, unjudged, cells, named_rows=entry(meta, "named_rows", bool, False))
        vars(found)["read"] = entry(meta, "read", str, "")
        return found

    def meta(self) -> dict[str, Any]:
        """Columns, tolerances, and what else was possible, where anything was."""
        possible = {name: list(map(_stored_cell, cells)) for name, cells in self.possible.items()}
        meta = {**super().meta(), "possible": possible, "read": self.read, "named_rows": self.named_rows}
        return {name: value for name, value in meta.items() if value or name not in _ONLY_IF_SET}

    @classmethod
    def of_columns(
        cls,
        columns: tuple[Column, ...],
        tolerance: Mapping[str, float] | None = None,
        unjudged: tuple[str, ...] = (),
        possible: Mapping[str, Cells] | None = None,
        *,
        named_rows: bool = False,
    ) -> Self:
        """Make a table from columns. Raises ValueError if their lengths differ or keys repeat."""
        table = cls.__new__(cls)
        vars(table).update(possible=possible or {}, read="", named_rows=named_rows)
        table._set(columns, tolerance or {}, unjudged)
        return table

    def condensed(self) -> Table | None:
        """Return the judged columns alone; None if no column is judged."""
        if not self.unjudged and not self.possible and not self.named_rows:
            return self
        judged = tuple(column for column in self.columns if column.name not in self.unjudged)
        if not judged:
            return None
        kept = type(self).of_columns(judged, self.tolerance)
        vars(kept)["read"] = self.read or digest_of([each for each in self.columns if each not in judged])
        return kept

    def parts(self) -> tuple[str, ...]:
        """The judged columns after the key."""
        return self._parts

    @functools.cached_property
    def _parts(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.name not in self.unjudged)[1:]

    def without(self, names: Collection[str]) -> Table:
        """The table without the columns `names`."""
        kept = tuple(column for column in self.columns if column.name not in names)
        return self._like(kept, self.possible)

    def added_rows(self, golden: Table) -> tuple[str, ...]:
        """Return the rows that a golden lacks.

        None if this table lacks one of the golden's, so that another one may have taken its place, or if the golden has
        no rows at all: that there is nothing is what it says.
        """
        keys, others = self.columns[0].values, golden.columns[0].values
        if keys == others:
            return ()  # as almost always
        known = set(others)
        if not self.grows_by_rows or not known or not known <= set(keys):
            return ()
        return tuple(key for key in keys if key not in known)

    def without_rows(self, keys: Collection[str]) -> Table:
        """The table without the rows `keys`."""
        kept = [place for place, key in enumerate(self.columns[0].values) if key not in keys]
        columns = (Column(each.name, each.type, tuple(each.values[place] for place in kept)) for each in self.columns)
        possible = {name: tuple(cells[place] for place in kept) for name, cells in self.possible.items()}
        return self._like(tuple(columns), possible)

    def _like(self, columns: tuple[Column, ...], possible: Mapping[str, Cells]) -> Self:
        return self.of_columns(columns, self.tolerance, self.unjudged, possible, named_rows=self.named_rows)

    def description(self, golden: Table) -> Table:
        """Return the golden with every column that this table judges, whatever the golden calls for reading."""
        judged = self.columns[0].name, *self.parts()
        reading = tuple(name for name in golden.unjudged if name not in judged)
        if type(golden) is type(self) and reading == golden.unjudged and not golden.possible and not golden.read:
            return golden  # as almost always
        return type(self).of_columns(golden.columns, golden.tolerance, reading)

    def choosing_as(self, golden: Table) -> Table:
        """Return the table with what the golden has in rows of which rounding could have chosen the texts otherwise."""
        was = {column.name: column for column in golden.columns}
        pairs = [(each, was.get(each.name), self.possible.get(each.name, ())) for each in self.columns]
        rows = {row for pair in pairs for row in _chosen_otherwise(*pair)}
        columns = tuple(_chosen_as(*pair, rows) for pair in pairs)
        return self._like(columns, self.possible)

    def differences(self, golden: Table) -> Iterator[Difference]:
        """Per judged column the largest difference, and for numbers the mean signed change."""
        now, was = self.condensed(), self.description(golden).condensed()
        if was is None:
            return
        if now is None:
            sentence = f"columns {[c.name for c in was.columns]} are only for reading now, and no column is compared"
            yield Difference("rows and columns", math.inf, 0.0, [Statement(Severity.NUMBERS, "columns", sentence)])
            return
        others = _other_rows_or_columns(now, was)
        if others:
            yield Difference("rows and columns", math.inf, 0.0, [others])
            return
        for column, before in zip(now.columns[1:], was.columns[1:], strict=True):
            nearest_column = _nearest(column, before, self.possible.get(column.name, ()))
            yield _difference(nearest_column, before, now.columns[0], self._limit(column, before, golden))

    def _limit(self, now: Column, was: Column, golden: Table) -> float:
        """Return how far cells may differ: whole numbers that had to be the same still have to if written as floats."""
        exact = was.type == "int" and now.type == "float" and not golden.tolerance.get(was.name)
        return 0.0 if exact else self.tolerance.get(now.name, 0.0)


def digest_of(columns: Iterable[Column]) -> str:
    """Return a digest of the columns of texts, flags and whole numbers; empty if there are none.

    Other numbers, such as times, are left out: they are never the same in every digit.
    """
    exact = [[each.name, each.values] for each in columns if each.type != "float"]
    return hashlib.sha256(json.dumps(exact).encode()).hexdigest()[:16] if exact else ""


def _other_rows_or_columns(now: Table, was: Table) -> Statement | None:
    """Return a statement if rows or columns were added, removed or reordered, so that cells cannot be compared."""
    for what, obtained, expected in (
        ("columns", [c.name for c in now.columns], [c.name for c in was.columns]),
        ("rows", list(now.columns[0].values), list(was.columns[0].values)),
    ):
        if obtained != expected:
            lists = " became ".join(", ".join(map(str, each)) or "none" for each in (expected, obtained))
            return Statement(Severity.NUMBERS, what, f"the {what} changed: {plain(lists)}")
    return None


def _difference(now: Column, was: Column, keys: Column, limit: float) -> Difference:
    """Compare two columns cell by cell, unless they are equal, as they almost always are."""
    same = now.values == was.values and (now.type == was.type or "bool" not in (now.type, was.type))
    changed = [] if same else list(zip(keys.values, now.values, was.values, strict=True))
    apart_by = [_apart(value, before, limit) for _, value, before in changed]
    statements = _statements(now.name, keys.name, changed, apart_by, limit)
    return Difference(now.name, max(apart_by, default=0.0), limit, statements, _mean_moved(now, was, limit))


def _chosen_otherwise(now: Column, was: Column | None, possible: Cells) -> Iterator[int]:
    """Yield the rows in which the golden has another text that was possible, too."""
    for row, (value, cell, before) in enumerate(zip(now.values, possible, was.values if was else (), strict=False)):
        if isinstance(cell, tuple) and not isinstance(cell, Possible) and value != before and before in cell:
            yield row


def _chosen_as(now: Column, was: Column | None, possible: Cells, rows: Collection[int]) -> Column:
    if was is None or not possible or len(was.values) != len(now.values):
        return now
    cells = enumerate(zip(now.values, possible, was.values, strict=True))
    return Column(now.name, now.type, tuple(_nearest_cell(*each) if row in rows else each[0] for row, each in cells))


def _nearest(now: Column, was: Column, possible: Cells) -> Column:
    """Return a column with, in each cell, the possible value that is nearest to the golden."""
    if not possible or now.values == was.values:
        return now
    cells = zip(now.values, possible, was.values, strict=True)
    return Column(now.name, now.type, tuple(_nearest_cell(*each) for each in cells))


def _nearest_cell(now: Any, possible: Cell, was: Any) -> Any:
    if isinstance(possible, Possible) and _is_quantity(now) and _is_quantity(was):
        return nearest(now, possible, was)
    if isinstance(possible, Possible) and isinstance(now, bool) and isinstance(was, bool):
        return was if possible.low <= was <= possible.high else now
    return was if isinstance(possible, tuple) and isinstance(was, str) and was in possible else now


def _stored_cell(cell: Cell) -> Any:
    if isinstance(cell, Possible):
        return list(map(to_json, cell))
    return None if cell is None else {"texts": list(cell)}


def _restored_cell(cell: PossibleTexts | Possible | None) -> Cell:
    return cell.texts if isinstance(cell, PossibleTexts) else cell


def restored_columns(meta: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the columns that `meta` holds. Raises WrongValue."""
    if not isinstance(meta.get("columns"), list):
        raise wrong(meta.get("columns"), "a list of columns").below("columns")
    return tuple(
        below("columns", lambda each: below(each[0], Column.restore, each[1]), pair)
        for pair in enumerate(meta["columns"])
    )


def _apart(now: Any, was: Any, limit: float) -> float:
    """Return the distance of two cells; for different texts one that exceeds the tolerance."""
    if _is_quantity(now) and _is_quantity(was):
        return apart(now, was)
    same = now == was and isinstance(now, bool) == isinstance(was, bool)  # 1 is not yes, although Python says so
    return 0.0 if same else 1.0 if limit < 1.0 else math.inf


def _statements(
    column: str, keys: str, rows: list[tuple[Any, Any, Any]], apart_by: list[float], limit: float
) -> Iterator[Statement]:
    for (key, now, was), distance in zip(rows, apart_by, strict=True):
        place = f"{column} of {key}"
        # A number alone, such as a threshold, does not say what it is.
        in_words = f"{words(column)} at {words(keys)} {key}" if _is_quantity(key) else _place_words(column, key)
        if distance <= limit and not math.isinf(distance):
            continue
        if _is_quantity(now) and _is_quantity(was):
            sentence = f"{in_words}: {was:.4g} became {now:.4g} (may differ by at most {limit:g})"
            yield Statement(Severity.NUMBERS, place, sentence, distance, limit)
        else:
            yield Statement(Severity.EVIDENCE, place, f"{in_words}: {_shown(was)} became {_shown(now)}")


def _place_words(column: str, key: Any) -> str:
    return f"{words(column)} of {plain(str(key))}"


def _shown(cell: Any) -> str:
    """Return a cell that is no number for reading."""
    if cell is None:
        return "nothing"
    return ("yes" if cell else "no") if isinstance(cell, bool) else repr(cell)


def _mean_moved(now: Column, was: Column, limit: float) -> Iterator[Shift]:
    """Yield the mean signed change over the rows in which both have a number; NaN if there are no such rows."""
    if now.type == was.type == "float" and now.values:
        both = zip(now.values, was.values, strict=True)
        changes = [value - before for value, before in both if not math.isnan(value - before)]
        yield Shift(now.name, sum(changes) / len(changes) if changes else math.nan, limit)


def _is_quantity(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _with_plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert text to Python strings or None, because versions of pandas represent missing text differently."""
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
