"""The history of one case: who accepted its goldens, when and why, who rejected a result, and how it is now."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.door import require_no_links
from xai_eval.disk.files import accessible
from xai_eval.errors import StorageError
from xai_eval.gate.leading_measure import leading_measure
from xai_eval.gate.verdict import Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.page.history_chart import HistoryChart, history_chart
from xai_eval.report.text.summary import state_word
from xai_eval.store.history import Acceptance, read_history
from xai_eval.store.lazy import digest_of
from xai_eval.store.rejections import Rejection, read_rejections

_SHOWN = 8  # entries; the older ones are in `xai-eval log`


@dataclass(frozen=True)
class Entry:
    """One row: when, what happened, why, and what the verdict was at that time.

    Attributes:
        when: the day and minute, in UTC.
        what: what happened, with the name of the person.
        reason: in the words of the person; empty for this run.
        state: state and severity of the verdict.
        measure: the measure that was farthest beyond its limit, in words.
        excess: how far it was beyond its limit, as a multiple of the largest distance that is allowed; None if the
            history does not say.
    """

    when: str
    what: str
    reason: str
    state: str
    measure: str
    excess: float | None


@dataclass(frozen=True)
class HistoryView:
    """What the page shows of the history of a case.

    Attributes:
        sentence: who accepted the golden, when and why.
        replaced: what it replaced, in the words of the verdict that was overruled; empty for a first golden.
        rejected: who rejected the result that is shown, and why; empty if nobody did.
        entries: the newest entries, the oldest of them first, and this run.
        earlier: how many older entries are left out.
        chart: the distances from the limit; None if fewer than two are known.
        problem: why the history cannot be read; empty if it can.
    """

    sentence: str
    replaced: str
    rejected: str
    entries: tuple[Entry, ...]
    earlier: int
    chart: HistoryChart | None
    problem: str = ""


class Histories:
    """The histories of the cases of a page, each read when its case is shown.

    Args:
        cases: those of the page.
        golden: the folder of goldens; None for two runs that are compared, which nobody accepted.
        results: the folder of the run, with what was rejected.

    Attributes:
        problem: why what was rejected cannot be read; empty if it can.
    """

    def __init__(self, cases: Sequence[ReportCase], golden: Path | None, results: Path) -> None:
        self._cases: Mapping[str, ReportCase] = {case.key: case for case in cases}
        self._golden, self.problem = golden, ""
        self._rejections: Mapping[str, Rejection] = {}
        try:
            if golden is not None:  # of several rejections of a case, the newest counts
                self._rejections = {each.case: each for each in read_rejections(results)}
        except StorageError as error:
            self.problem = str(error)

    def __call__(self, key: str) -> HistoryView | None:
        """Return the history of a case; None if there is nothing to tell."""
        if self._golden is None:
            return None
        case = self._cases[key]
        try:
            history = self._history(self._golden, case)
        except StorageError as error:
            return HistoryView("", "", self._rejected(case), (), 0, None, str(error))
        return history_view(case.verdict, history, self._rejected(case))

    @property
    def accepted(self) -> str:
        """When the goldens of the page were accepted, such as '2026-11-03 to 2026-11-27'; empty if nobody can tell."""
        days = sorted(set(self._days()))
        return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""

    def _days(self) -> Iterator[str]:
        for case in self._cases.values() if self._golden else ():
            with contextlib.suppress(StorageError):  # whoever shows the case says what is wrong
                history = self._history(self._golden, case) if self._golden and case.golden else ()
                if history:
                    yield history[-1].when.partition("T")[0]

    def _history(self, golden: Path, case: ReportCase) -> Sequence[Acceptance]:
        place = golden / (case.key if case.golden is None else case.golden.case.key)
        with accessible(place):
            require_no_links(golden, place)
        return read_history(place)

    def _rejected(self, case: ReportCase) -> str:
        found = self._rejections.get(case.key)
        if found is None or case.obtained is None or digest_of(case.obtained) != found.result:
            return ""
        return f"{found.who} rejected this result on {time_words(found.when)}: {found.reason}"


def history_view(verdict: Verdict, history: Sequence[Acceptance], rejected: str = "") -> HistoryView | None:
    """Put the history of a case into words; `rejected` says who rejected the result that is shown, and why."""
    if not history and not rejected:
        return None
    entries = (*map(_accepted, history), _now(verdict))
    shown = entries[-_SHOWN:]
    last = history[-1] if history else None
    return HistoryView(
        f"{last.who or 'Somebody'} accepted this golden on {time_words(last.when)}: {last.reason}" if last else "",
        last.verdict if last and last.state not in ("", "missing") else "",
        rejected,
        shown if history else (),
        len(entries) - len(shown),
        history_chart([each.excess for each in shown], [each.state for each in shown]),
    )


def _accepted(entry: Acceptance) -> Entry:
    known = bool(entry.measure) and not math.isnan(entry.excess)
    state = " ".join(filter(None, [state_word(entry.state), entry.severity]))
    who = entry.who or "somebody"
    excess = entry.excess if known else None
    return Entry(
        time_words(entry.when), f"accepted by {who}", entry.reason, state or "not judged", entry.measure, excess
    )


def _now(verdict: Verdict) -> Entry:
    found = leading_measure(verdict)
    state = " ".join(filter(None, [state_word(verdict.state), verdict.severity.label if verdict.severity else ""]))
    excess = 0.0 if not verdict.failed and not verdict.findings else found.excess if found.words else None
    return Entry("now", "this run", "", state, found.words, excess)


def time_words(when: str) -> str:
    """Return a time to the minute, as people read it."""
    day, _, clock = when.partition("T")
    return f"{day} {clock[:5]} UTC" if clock else when
