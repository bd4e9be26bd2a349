"""What needs a decision: failing cases, those of one cause together below one sentence on this cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xai_eval.gate.causes import Group, told_together
from xai_eval.gate.requests import request_of
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.thumbnails import Thumbnail, thumbnails
from xai_eval.report.page.case_view import ACCEPTABLE, CaseLine, case_line
from xai_eval.report.text.commands import Folders, accept_cases_command, explain_command, prune_command
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
    """

    rows: tuple[Row, ...]
    title: str = ""
    cause: Cause | None = None
    find: str = ""
    remedy: str = ""
    command: str = ""

    @property
    def folded(self) -> bool:
        """Whether the command names so many cases that it is folded away."""
        return len(self.command) > _LONG


@dataclass(frozen=True)
class _Cases:
    """All cases of the page by key, the worst first, the folders that commands name, and how cases were asked for."""

    by_key: Mapping[str, ReportCase]
    where: Folders
    requests: Mapping[str, Mapping[str, Any]]

    def accept(self, keys: Sequence[str]) -> str:
        """Return the command that makes goldens of these cases."""
        acceptable = {key for key, case in self.by_key.items() if case.verdict.state in ACCEPTABLE}
        return accept_cases_command(keys, self.where, _PLACEHOLDER, everything=acceptable == set(keys))

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
    worst_first: Sequence[ReportCase], where: Folders, requests: Mapping[str, Mapping[str, Any]]
) -> Iterator[Decision]:
    """Yield what needs a decision, the worst first: all cases that fail the run but for the new ones.

    Args:
        worst_first: all cases of the page.
        where: the folders that commands name.
        requests: the run's record of how cases were asked for.
    """
    cases = _Cases({case.key: case for case in worst_first}, where, requests)
    failed = [case.verdict for case in worst_first if case.verdict.failed and not is_new(case.verdict)]
    yield from _of_state(State.ERROR, failed, cases)
    yield from (_of_drift(each, cases) for each in told_together(v for v in failed if v.state not in _TITLES))
    yield from _of_state(State.INCOMPARABLE, failed, cases)
    yield from _of_state(State.UNUSED, failed, cases)


def _of_drift(told: Group | Verdict, cases: _Cases) -> Decision:
    if not isinstance(told, Group):
        return Decision((cases.row(told, told.short, _cause_of(told)),))
    rows = tuple(cases.row(verdict, verdict.short) for verdict in told.verdicts)
    command = cases.accept([row.view.key for row in rows])
    worst, right = told.verdicts[0], "If all of these are right as they are:"
    return Decision(rows, f"{told.title}.", _cause_of(worst), cases.find(worst), right, command)


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
    rows = tuple(cases.row(verdict, verdict.sentence) for verdict in verdicts)
    yield Decision(rows, title, None, "", _REMEDIES[state], _command(state, [row.view.key for row in rows], cases))


def _command(state: State, keys: Sequence[str], cases: _Cases) -> str:
    if state is State.INCOMPARABLE:
        return cases.accept(keys)
    return prune_command(cases.where) if state is State.UNUSED else ""
