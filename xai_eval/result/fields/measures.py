"""A table of measures by name, each with a tolerance of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pandas as pd

from xai_eval.disk.typed import WrongValue, spelled
from xai_eval.result.fields.base import Arrays, Difference, Severity, Statement, register
from xai_eval.result.fields.numbers import apart
from xai_eval.result.fields.table import Column, Table
from xai_eval.result.naming import plain

_NAME, _VALUE = "measure", "value"
_COLUMNS = [(_NAME, "text"), (_VALUE, "float")]


@register
@dataclass(frozen=True, init=False)
class Measures(Table):
    """Numbers by name, one row each, whose units differ. `tolerance` is by the name of the row; 0 if not named."""

    kind: ClassVar[str] = "measures"
    part: ClassVar[str] = "measure"
    grows_by_rows: ClassVar[bool] = False  # its rows are its parts

    @classmethod
    def of(cls, values: Mapping[str, float], tolerance: Mapping[str, float]) -> Self:
        """Make a table of values by name."""
        return cls(pd.DataFrame({_NAME: list(values), _VALUE: [float(each) for each in values.values()]}), tolerance)

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        found = super().restore(meta, arrays)
        columns = [(each.name, each.type) for each in found.columns]
        if [name for name, _ in columns] != [_NAME, _VALUE] or (found.parts() and columns != _COLUMNS):
            raise WrongValue(f"are {spelled(columns)}; expected {_COLUMNS}", ".columns")
        return found

    def parts(self) -> tuple[str, ...]:
        """The names of the measures."""
        return self.columns[0].values

    def without(self, names: Collection[str]) -> Measures:
        """The table without the measures `names`."""
        kept = [place for place, name in enumerate(self.parts()) if name not in names]
        columns = (Column(each.name, each.type, tuple(each.values[at] for at in kept)) for each in self.columns)
        return Measures.of_columns(tuple(columns), self.tolerance)

    def differences(self, golden: Table) -> Iterator[Difference]:
        """The difference of every measure; a measure that one of the two lacks cannot be compared."""
        now, was = (dict(zip(*(each.values for each in table.columns[:2]), strict=True)) for table in (self, golden))
        for name in dict.fromkeys((*was, *now)):
            limit = self.tolerance.get(name, 0.0)
            known = name in now and name in was
            moved = apart(now[name], was[name]) if known else float("inf")
            before, after = (f"{each[name]:.4g}" if name in each else "nothing" for each in (was, now))
            sentence = f"{plain(name)}: {before} became {after} (may differ by at most {limit:g})"
            yield Difference(name, moved, limit, [Statement(Severity.NUMBERS, name, sentence, moved, limit)])
