"""Changes every part of a field of any kind so much that any comparison must notice it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from xai_eval.result.fields import (
    Curve,
    Document,
    Field,
    Gallery,
    Heatmap,
    InputImage,
    Label,
    Mask,
    Measures,
    Ranking,
    Score,
    Segments,
    SignedMap,
    Table,
    UnitLabels,
    Weights,
)
from xai_eval.result.fields.table import Column


def changed_parts(field: Field) -> Iterator[tuple[str, Field]]:
    """Yield the name of each part, "" for a whole field, and the field with this part changed.

    Raises:
        NotImplementedError: nothing is known of the kind, so that a new kind cannot go unseen.
    """
    if isinstance(field, Measures):
        yield "", _with_column(field, field.columns[1])
    elif isinstance(field, Table):
        yield from ((each.name, _with_column(field, each)) for each in field.columns if _rows(field))
    elif isinstance(field, UnitLabels):
        yield from ((str(name), _with_unit_column(field, str(name))) for name in field.frame.columns)
    elif isinstance(field, Curve):
        for line in field.lines:
            yield line, dataclasses.replace(field, lines={**field.lines, line: field.lines[line] + 9})
    elif isinstance(field, Document):
        yield from ((name, Document({**field.content, name: "another"})) for name in field.content)
    else:
        yield "", _changed(field)


def _rows(table: Table) -> int:
    return len(table.columns[0].values)


def _changed(field: Field) -> Field:
    match field:
        case Label():
            return Label(f"not {field.text}", field.index)
        case Score():
            return dataclasses.replace(field, value=field.value + 9)
        case Ranking():
            return dataclasses.replace(field, values=tuple(each + 9 for each in field.values))
        case Heatmap():
            return dataclasses.replace(field, array=field.array[::-1, ::-1].copy() * 0.5)
        case SignedMap():
            return dataclasses.replace(field, array=-field.array)
        case Mask():
            return dataclasses.replace(field, array=~field.array)
        case InputImage():
            return dataclasses.replace(field, array=255 - field.array)
        case Segments():
            return dataclasses.replace(field, array=np.roll(field.array, 5, axis=1))
        case Weights():
            return dataclasses.replace(field, values=-field.values + 3 * np.abs(field.values).max())
        case Gallery():
            return Gallery(dict(zip(field.strips, reversed(field.strips.values()), strict=True)), field.images)
    raise NotImplementedError(f"no change is known of the kind {field.kind}")


def _cell(value: object, place: int) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return type(value)(1000 + place)
    return f"{value} {place} changed"


def _with_column(table: Table, column: Column) -> Table:
    other = Column(column.name, column.type, tuple(map(_cell, column.values, range(len(column.values)))))
    made = type(table).of_columns(
        tuple(other if each is column else each for each in table.columns), table.tolerance, table.unjudged
    )
    vars(made).update(
        {name: value for name, value in vars(table).items() if name not in vars(made) and name != "frame"}
    )
    return made


def _with_unit_column(field: UnitLabels, name: str) -> UnitLabels:
    values = field.frame[name].tolist()
    return UnitLabels(field.frame.assign(**{name: list(map(_cell, values, range(len(values))))}), field.tolerance)
