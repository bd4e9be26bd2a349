"""Reads the golden of a whole set as if its images had the names and the order that they have now. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from xai_eval.result.fields import Document, Field, Table
from xai_eval.result.fields.table import Column
from xai_eval.result.result import Result


def in_order_of(obtained: Result, golden: Result, names: Mapping[str, str]) -> Result:
    """Return the golden with the rows of its tables under the names, and in the order, of the result.

    Args:
        obtained: the result of a whole set.
        golden: its golden, of the same images.
        names: the input of each image now, by the input that it had, such as `photos/b.png` by `photos/a.png`.
    """
    every = {**names, **{_short(before): _short(now) for before, now in names.items()}}
    fields = {name: _field(obtained.fields.get(name), was, every) for name, was in golden.fields.items()}
    return Result(golden.case, fields, golden.stages, golden.provenance)


def _short(name: str) -> str:
    return name.split("/", 1)[-1]


def _field(now: Field | None, was: Field, names: Mapping[str, str]) -> Field:
    if isinstance(was, Table) and isinstance(now, Table):
        return _table(now, was, names)
    return dataclasses.replace(was, content=_renamed(was.content, names)) if isinstance(was, Document) else was


def _table(now: Table, was: Table, names: Mapping[str, str]) -> Table:
    """Return a table with its rows under their new names, in the order of the obtained table if it has the same."""
    rows = [names.get(key, key) if isinstance(key, str) else key for key in was.columns[0].values]
    wanted = list(now.columns[0].values)
    if len(set(rows)) < len(rows) or set(rows) != set(wanted):
        return was
    order = [rows.index(key) for key in wanted]
    first, *rest = was.columns
    columns = [Column(first.name, first.type, tuple(wanted))]
    columns += [Column(each.name, each.type, tuple(each.values[place] for place in order)) for each in rest]
    return Table.of_columns(tuple(columns), was.tolerance, was.unjudged)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {names.get(key, key): _renamed(each, names) for key, each in value.items()}
