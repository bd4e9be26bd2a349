"""Puts a table into the order of its golden. Pure.

Columns are known by their names, so that their order says nothing. The order of rows says nothing only if the table
says that its rows have names: rows that are merely numbered are known by their places.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from xai_eval.result.fields.table import Column, Table


def in_order_of(now: Table, was: Table) -> Table:
    """Return a table with the columns, and rows that have names, in the order of its golden; itself if they are."""
    if type(now) is not Table:
        return now  # another kind of table has its own rules
    keyed = _keyed_as(now, was)
    if keyed.columns[0].name != was.columns[0].name:
        return now
    names = [column.name for column in keyed.columns]
    columns = _order(names, [column.name for column in was.columns])
    rows = _order(keyed.columns[0].values, was.columns[0].values) if keyed.named_rows else None
    if keyed is now and columns is None and rows is None:
        return now
    return _in_order(keyed, columns or range(len(names)), rows)


def other_order(now: Table, was: Table) -> tuple[str, ...]:
    """Return what of a table stands in another order than in its golden and is compared by name: columns, rows."""
    ordered = in_order_of(now, was)
    if ordered is now:
        return ()
    columns = [column.name for column in now.columns] != [column.name for column in ordered.columns]
    same_key = now.columns[0].name == ordered.columns[0].name
    rows = same_key and now.columns[0].values != ordered.columns[0].values
    return (*(["columns"] if columns else []), *(["rows"] if rows else []))


def _order(names: Sequence[object], golden: Sequence[object]) -> list[int] | None:
    """Return the places of names in the order of the golden, then those it lacks; None if they are in it already."""
    if names == golden:
        return None  # as almost always
    places, known = {name: place for place, name in enumerate(golden)}, set(names)
    common = [name for name in names if name in places]
    if common == [name for name in golden if name in known]:
        return None
    return sorted(range(len(names)), key=lambda at: places.get(names[at], len(places)))


def _in_order(table: Table, columns: Iterable[int], rows: Sequence[int] | None) -> Table:
    places = range(len(table.columns[0].values)) if rows is None else rows
    ordered = (table.columns[at] for at in columns)
    cells = tuple(dataclasses.replace(each, values=tuple(each.values[at] for at in places)) for each in ordered)
    possible = {name: tuple(each[at] for at in places) for name, each in table.possible.items()}
    return Table.of_columns(cells, table.tolerance, table.unjudged, possible, named_rows=table.named_rows)


def _keyed_as(now: Table, was: Table) -> Table:
    """Return a table with the names of its rows in the column in which the golden has them.

    A frame without an index of its own has the names of its rows in its first column, if this holds texts. So where
    the columns of such a frame change places, its rows may be named by texts before and by numbers now, or the reverse,
    or by other texts.
    """
    key, other = now.columns[0], was.columns[0]
    if key.name == other.name:
        return now  # as almost always
    if _numbers(key) and not _numbers(other) and key.name not in {each.name for each in was.columns}:
        return _named_by(other.name, now, now.columns[1:])
    if now.named_rows and key.name in {each.name for each in was.columns}:
        return _named_by(other.name, now, now.columns)
    if _numbers(other) and other.name not in {each.name for each in now.columns} and now.named_rows:
        numbers = Column(other.name, "text", tuple(map(str, range(len(key.values)))))
        return Table.of_columns((numbers, *now.columns), now.tolerance, now.unjudged, now.possible)
    return now


def _named_by(name: str, table: Table, columns: Sequence[Column]) -> Table:
    """Return some columns of a table with those unique texts as the names of its rows, if it has such a column."""
    found = next((each for each in columns if each.name == name), None)
    if found is None or not all(isinstance(each, str) for each in found.values):
        return table
    if len(set(found.values)) < len(found.values):
        return table
    rest = (each for each in columns if each is not found)
    return Table.of_columns((found, *rest), table.tolerance, table.unjudged, table.possible, named_rows=True)


def _numbers(column: Column) -> bool:
    """Whether a column merely numbers the rows, in whatever order a sort left them."""
    return set(column.values) == set(map(str, range(len(column.values))))
