"""What needs a decision: failing cases, those of one cause together below one sentence on this cause."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xai_eval.gate.causes import Group, told_together
from xai_eval.gate.requests import request_of
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.thumbnails import Thumbnail, thumbnails
from xai_eval.report.page.case_view import ACCEPTABLE, CaseLine, case_line
from xai_eval.report.text.commands import MOST_NAMES, Folders, accept_cases_command, explain_command, prune_command
from xai_eval.report.text.summary import is_new

_PLACEHOLDER = "..."
_LONG = 400  # letters of a command; a longer one is folded away
# Of one case, and of several.
_TITLES = {
    State.ERROR: ("1 case ended in an error.", "{} cases ended in an error."),
    State.INCOMPARABLE: (
        "1 case cannot be compared with its golden.",
        "{} cases cannot be compared with their goldens.",
    ),
    State.UNUSED: ("1 golden was not used.", "{} goldens were not used."),
}
_REMEDIES = {
    State.ERROR: "Each says what is wrong. Mend it, and run again; until then its golden proves nothing.",
    State.INCOMPARABLE: "They were made from another image or with other parameters, so they are no drift. If that is "
    "on purpose, make them the goldens:",
    State.UNUSED: "The run has no such case: its image, model or task is gone. If that is on purpose, delete them:",
}


@dataclass(frozen=True)
class Cause:
    """Where a drift begins, in one sentence, and the rest, which is folded away."""

    sentence: str
    rest: str


@dataclass(frozen=True)
class Row:
    """One case of a decision, what is said of it, small images of what drifted, and its cause if it drifted alone."""

    view: CaseLine
    text: str
    images: tuple[Thumbnail, ...] = ()
    cause: Cause | None = None


@dataclass(frozen=True)
class Decision:
    """Cases that are decided at once, the worst first.

    Attributes:
        rows: the cases.
        title: such as '11 images: weights changed.'; empty for a drift alone, whose row says everything.
        cause: where the change begins in the worst case, and what changed since the golden was accepted; None for a
            drift alone, and for what is no drift.
        find: the command that finds the cause of the worst case; empty for a drift alone, which has it below, and for
            what is no drift.
        remedy: what to do; it ends in the command if there is one.
        command: that does it.
        more: how many more cases it is about, which are on other pages.
    """

    rows: tuple[Row, ...]
    title: str = ""
    cause: Cause | None = None
    find: str = ""
    remedy: str = ""
    command: str = ""
    more: int = 0

    @property
    def folded(self) -> bool:
        """Whether the command names so many cases that it is folded away."""
        return len(self.command) > _LONG


@dataclass(frozen=True)
class _Cases:
    """All cases of the report by key, the worst first, the folders that commands name, how cases were asked for, and
    the keys of those on the page; None if all are."""

    by_key: Mapping[str, ReportCase]
    where: Folders
    requests: Mapping[str, Mapping[str, Any]]
    here: Container[str] | None = None

    @cached_property
    def acceptable(self) -> Set[str]:
        """The keys of the cases that can be accepted."""
        return {key for key, case in self.by_key.items() if case.verdict.state in ACCEPTABLE}

    def accept(self, keys: Sequence[str]) -> str:
        """Return the command that makes goldens of these cases."""
        everything = len(keys) > MOST_NAMES or self.acceptable == set(keys)
        return accept_cases_command(keys, self.where, _PLACEHOLDER, everything=everything)

    def rows(self, verdicts: Sequence[Verdict], text: Callable[[Verdict], str]) -> tuple[Row, ...]:
        """Return the rows of the cases that are on the page."""
        return tuple(self.row(each, text(each)) for each in verdicts if self.here is None or each.case.key in self.here)

    def find(self, verdict: Verdict) -> str:
        """Return the command that finds the cause of a drift; empty if the case cannot be computed again."""
        case = verdict.case
        if not case.repeatable:
            return ""
        return explain_command(case, self.where.results, self.where.golden, request_of(self.requests, case))

    def row(self, verdict: Verdict, text: str, cause: Cause | None = None) -> Row:
        case = self.by_key[verdict.case.key]
        return Row(case_line(case), text, thumbnails(case.unloaded()), cause)


def decisions(
    worst_first: Sequence[ReportCase],
    where: Folders,
    requests: Mapping[str, Mapping[str, Any]],
    here: Container[str] | None = None,
) -> Iterator[Decision]:
    """Yield what needs a decision, the worst first: all cases that fail the run but for the new ones.

    Args:
        worst_first: all cases of the report.
        where: the folders that commands name.
        requests: the run's record of how cases were asked for.
        here: the keys of the cases on the page; None if all are. A decision of which no case is here is left out.
    """
    cases = _Cases({case.key: case for case in worst_first}, where, requests, here)
    yield from (each for each in _decisions(worst_first, cases) if each.rows)


def _decisions(worst_first: Sequence[ReportCase], cases: _Cases) -> Iterator[Decision]:
    failed = [case.verdict for case in worst_first if case.verdict.failed and not is_new(case.verdict)]
    yield from _of_state(State.ERROR, failed, cases)
    yield from (_of_drift(each, cases) for each in told_together(v for v in failed if v.state not in _TITLES))
    yield from _of_state(State.INCOMPARABLE, failed, cases)
    yield from _of_state(State.UNUSED, failed, cases)


def _of_drift(told: Group | Verdict, cases: _Cases) -> Decision:
    if not isinstance(told, Group):
        if cases.here is not None and told.case.key not in cases.here:
            return Decision(())
        return Decision((cases.row(told, told.short, _cause_of(told)),))
    rows = cases.rows(told.verdicts, lambda verdict: verdict.short)
    command = cases.accept([verdict.case.key for verdict in told.verdicts])
    worst, more = told.verdicts[0], len(told.verdicts) - len(rows)
    return Decision(rows, f"{told.title}.", _cause_of(worst), cases.find(worst), _right(told), command, more)


def _right(told: Group) -> str:
    if len(told.verdicts) <= MOST_NAMES:
        return "If all of these are right as they are:"
    return "If all of these are right as they are, once all other cases are settled:"


def _cause_of(verdict: Verdict) -> Cause | None:
    if not verdict.findings:
        return None
    return Cause(verdict.cause_in_short, verdict.cause.removeprefix(verdict.cause_in_short).strip())


def _of_state(state: State, failed: Sequence[Verdict], cases: _Cases) -> Iterator[Decision]:
    verdicts = [each for each in failed if each.state is state]
    if not verdicts:
        return
    one, several = _TITLES[state]
    title = one if len(verdicts) == 1 else several.format(len(verdicts))
    rows, command = cases.rows(verdicts, lambda verdict: verdict.sentence), _command(state, verdicts, cases)
    remedy = _REMEDIES[state]
    if state is State.INCOMPARABLE and len(verdicts) > MOST_NAMES:
        remedy = f"{remedy.removesuffix(':')}, once all other cases are settled:"
    yield Decision(rows, title, None, "", remedy, command, len(verdicts) - len(rows))


def _command(state: State, verdicts: Sequence[Verdict], cases: _Cases) -> str:
    if state is State.INCOMPARABLE:
        return cases.accept([verdict.case.key for verdict in verdicts])
    return prune_command(cases.where) if state is State.UNUSED else ""
