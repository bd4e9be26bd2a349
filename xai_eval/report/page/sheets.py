"""The pages of a report: one for most runs; for many cases a first page, and further ones beside it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xai_eval.gate.causes import grouped
from xai_eval.report.cases import ReportCase
from xai_eval.report.further_pages import further_page
from xai_eval.report.page.shown_cases import tasks_in_order, with_images, worst_cases_first
from xai_eval.report.text.commands import PAGE_FILE
from xai_eval.report.text.summary import counts_sentence, is_fine
from xai_eval.report.text.wording import count

# Cases of a report of one page: with more, it is larger than browsers open gladly (10,000 take 28 MB).
ONE_PAGE = 2_000
# Of many cases: those that are not ok and are on the first page, and those of them that are drawn on any page.
FIRST, DRAWN = 300, 2_000
# What a further page holds: this many rows, and a case that is drawn is as long as ten of them.
ROWS, ROWS_OF_A_DRAWN = 2_000, 10


@dataclass(frozen=True)
class Sheet:
    """One page of a report.

    Attributes:
        number: 1 for the first.
        cases: those that it holds, by task.
        drawn: keys of the cases that are shown with images.
    """

    number: int
    cases: Sequence[ReportCase]
    drawn: frozenset[str]

    @property
    def name(self) -> str:
        """Of the file."""
        return PAGE_FILE if self.number == 1 else further_page(self.number)


def sheets_of(by_task: Sequence[ReportCase]) -> list[Sheet]:
    """Divide the cases of a report into its pages; all of them are one page, unless they are many.

    The first page has what nobody should miss: the worst cases of each cause, and of each task the first that are ok.
    The others follow in the order that is given.

    Args:
        by_task: all cases by task, then the worst first, then by name.
    """
    drawn = [case.key for case in with_images(by_task)]
    if len(by_task) <= ONE_PAGE:
        return [Sheet(1, by_task, frozenset(drawn))]
    in_turns = [case.key for case in _in_turns(worst_cases_first(by_task))]
    left_out = frozenset(in_turns[DRAWN:])
    later = {*left_out, *in_turns[FIRST:]}
    first = frozenset(key for key in drawn if key not in later)
    every = frozenset(key for key in drawn if key not in left_out)
    rest = [case for case in by_task if case.key not in first]
    pages = [[case for case in by_task if case.key in first], *_pages(rest, every)]
    return [Sheet(number, page, every) for number, page in enumerate(pages, 1)]


def _in_turns(worst_first: Sequence[ReportCase]) -> list[ReportCase]:
    """Return the cases that are not ok: the worst of each cause, then the second of each, and so on."""
    groups = grouped(case.verdict for case in worst_first)
    causes = {verdict.case.key: str(place) for place, group in enumerate(groups) for verdict in group.verdicts}
    bad = [case for case in worst_first if not is_fine(case.verdict) and not case.whole_set]
    seen, turns = Counter[str](), list[int]()
    for case in bad:
        cause = causes.get(case.key, str(case.verdict.state))
        turns.append(seen[cause])
        seen[cause] += 1
    return [case for _, case in sorted(zip(turns, bad, strict=True), key=lambda each: each[0])]


def _pages(cases: Sequence[ReportCase], drawn: frozenset[str]) -> Iterator[list[ReportCase]]:
    lengths = (ROWS_OF_A_DRAWN if case.key in drawn else 1 for case in cases)
    ends = itertools.accumulate(lengths)
    for _, page in itertools.groupby(zip(ends, cases, strict=True), key=lambda each: (each[0] - 1) // ROWS):
        yield [case for _, case in page]


@dataclass(frozen=True)
class FurtherLink:
    """A link to a further page: its name and number, and what is on it, task by task, in words."""

    name: str
    number: int
    parts: tuple[str, ...]


def further_link(sheet: Sheet) -> FurtherLink:
    """Say what is on a further page."""
    by_task = itertools.groupby(sheet.cases, key=lambda case: (case.verdict.case.task, is_fine(case.verdict)))
    parts = tuple(_part(task, list(cases), fine=fine) for (task, fine), cases in by_task)
    return FurtherLink(sheet.name, sheet.number, parts)


def _part(task: str, cases: Sequence[ReportCase], *, fine: bool) -> str:
    if not fine:
        return f"{task}, {counts_sentence([case.verdict for case in cases])}"
    first, last = cases[0].verdict.case.input, cases[-1].verdict.case.input
    return f"{task}, {count(len(cases), 'case')} that {'is' if len(cases) == 1 else 'are'} ok, {first} to {last}"


def tasks_on(sheets: Sequence[Sheet]) -> tuple[tuple[str, int, str], ...]:
    """Return name and number of cases of each task, and the page on which it begins, if that is not the first."""
    numbers = Counter(case.verdict.case.task for sheet in sheets for case in sheet.cases)
    pages = {case.verdict.case.task: sheet.name for sheet in reversed(sheets) for case in sheet.cases}
    order = tasks_in_order(list(numbers))
    return tuple((task, numbers[task], "" if pages[task] == PAGE_FILE else pages[task]) for task in order)
