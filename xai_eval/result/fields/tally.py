"""A table of what was counted by name, such as units by concept: a name that is not listed counts as nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pandas as pd

from xai_eval.disk.typed import entry
from xai_eval.result.fields.base import Arrays, Difference, Severity, Statement, register
from xai_eval.result.fields.numbers import apart
from xai_eval.result.fields.table import Column, Table
from xai_eval.result.naming import plain, words

_NUMBERS = ("int", "float")
_NAMED = 3  # cells that a sentence spells out


@register
@dataclass(frozen=True, init=False)
class Tally(Table):
    """A table whose rows may come, go and change places, as far as its numbers allow it.

    Two labels of a unit can be tied, so that a concept loses its only unit, and its row, to another one. Rows are
    therefore compared by their names, in any order, and a row that is not there has zeros. Of texts and flags it is
    counted in how many rows, of those that both tables have, they differ.

    Attributes:
        tolerance: by column, the largest difference of a number, or the number of rows whose text may differ.
        cut: whether the table is the beginning of a longer list, the largest first. What it does not list then has the
            numbers of its last row, which it cannot exceed.
    """

    kind: ClassVar[str] = "tally"
    grows_by_rows: ClassVar[bool] = False  # a row more is a count that was 0
    cut: bool = False

    def __init__(self, frame: pd.DataFrame, tolerance: Mapping[str, float] | None = None, *, cut: bool = False) -> None:
        """Make a tally of a frame whose first column holds the names."""
        super().__init__(frame, tolerance)
        vars(self)["cut"] = cut

    def meta(self) -> dict[str, Any]:
        """The table, and whether it is cut."""
        return {**super().meta(), "cut": self.cut}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        found = super().restore(meta, arrays)
        vars(found)["cut"] = entry(meta, "cut", bool)
        return found

    def without(self, names: Collection[str]) -> Tally:
        """The tally without the columns `names`."""
        kept = Tally.of_columns(tuple(each for each in self.columns if each.name not in names), self.tolerance)
        vars(kept)["cut"] = self.cut
        return kept

    def differences(self, golden: Table) -> Iterator[Difference]:
        """Per column the largest difference of a number, or in how many rows a text differs; none has a direction."""
        if [each.name for each in self.columns] != [each.name for each in golden.columns]:
            lists = " became ".join(", ".join(each.name for each in table.columns) for table in (golden, self))
            sentence = f"the columns changed: {plain(lists)}"
            yield Difference("rows and columns", float("inf"), 0.0, [Statement(Severity.NUMBERS, "columns", sentence)])
            return
        for now, was in zip(self.columns[1:], golden.columns[1:], strict=True):
            limit = self.tolerance.get(now.name, 0.0)
            numbers = now.type in _NUMBERS and was.type in _NUMBERS
            yield self._of_numbers(golden, now, was, limit) if numbers else self._of_texts(golden, now, was, limit)

    def _of_numbers(self, golden: Table, now: Column, was: Column, limit: float) -> Difference:
        obtained, expected = _by_name(self, now), _by_name(golden, was)
        pairs = {
            name: (obtained.get(name, self._unlisted(now)), expected.get(name, self._unlisted(was)))
            for name in dict.fromkeys((*expected, *obtained))
        }
        moved = {name: apart(*pair) for name, pair in pairs.items()}
        return Difference(now.name, max(moved.values(), default=0.0), limit, _numbers(now.name, pairs, moved, limit))

    def _unlisted(self, column: Column) -> Any:
        return column.values[-1] if self.cut and column.values else 0

    def _of_texts(self, golden: Table, now: Column, was: Column, limit: float) -> Difference:
        obtained, expected = _by_name(self, now), _by_name(golden, was)
        other = [name for name in expected if name in obtained and obtained[name] != expected[name]]
        shown = ", ".join(f"{plain(name)}: {expected[name]} became {obtained[name]}" for name in other[:_NAMED])
        sentence = f"{words(now.name)} differs in {len(other)} rows (in at most {limit:g} it may): {shown}"
        told = Statement(Severity.NUMBERS, now.name, sentence, float(len(other)), limit)
        return Difference(now.name, float(len(other)), limit, [told])


def _by_name(table: Table, column: Column) -> dict[str, Any]:
    return dict(zip(table.columns[0].values, column.values, strict=True))


def _numbers(
    column: str, pairs: Mapping[str, tuple[Any, Any]], moved: Mapping[str, float], limit: float
) -> Iterator[Statement]:
    """Yield one statement per number beyond the limit, the farthest first."""
    for name in sorted(moved, key=lambda each: -moved[each]):
        if not moved[name] <= limit:
            now, was = pairs[name]
            place = f"{words(column)} of {plain(name)}"
            sentence = f"{place}: {was:.4g} became {now:.4g} (may differ by at most {limit:g})"
            yield Statement(Severity.NUMBERS, f"{column} of {name}", sentence, moved[name], limit)
