"""What the first page says of all cases of a report. They are looked at one by one: together they fill the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.report.cases import ReportCase
from xai_eval.report.page.case_view import case_line
from xai_eval.report.page.colour_bars import kinds_of_maps
from xai_eval.report.page.filters import Filter, FilterCounts
from xai_eval.report.page.table_of_contents import places_of


@dataclass(frozen=True)
class Survey:
    """What all cases are like.

    Attributes:
        numbers: of the cases of each list above the tasks.
        filters: those that have more than one value among the cases.
        kinds: the colour bars that the cases need.
        differences: whether a map, mask or set of superpixels changed in one of them.
    """

    numbers: Mapping[str, int]
    filters: Sequence[Filter]
    kinds: Collection[str]
    differences: bool


def survey(worst_first: Iterable[ReportCase], drawn: Container[str] | None = None) -> Survey:
    """Look at every case once, the worst first; `drawn` are the keys of those whose colours count, None for all."""
    numbers, filters, kinds, differences = Counter[str](), FilterCounts(), set[str](), False
    for case in map(ReportCase.unloaded, worst_first):
        line = case_line(case)
        numbers.update(places_of(line))
        filters.add(line)
        if drawn is None or line.key in drawn:
            kinds.update(kinds_of_maps(case))
            differences = differences or bool(case.changed_fields)
    return Survey(numbers, filters.filters(), kinds, differences)
