"""What needs a decision: failing cases, those of one cause together below one sentence on this cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.causes import Group, told_together
from xai_eval.gate.verdict import Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.page.case_view import CaseLine, case_line
from xai_eval.report.text.summary import is_new


@dataclass(frozen=True)
class Row:
    """One case of a decision, and what is said of it."""

    view: CaseLine
    text: str


@dataclass(frozen=True)
class Decision:
    """Cases that are decided at once, the worst first.

    Attributes:
        rows: the cases.
        title: such as '11 images: weights changed'; empty for a case alone, whose text says everything.
        cause: where the change begins in the worst case, and what changed since the golden was accepted.
    """

    rows: tuple[Row, ...]
    title: str = ""
    cause: str = ""


def decisions(worst_first: Sequence[ReportCase]) -> tuple[Decision, ...]:
    """Return what needs a decision, the worst first: all cases that fail the run but for the new ones."""
    cases = {case.key: case for case in worst_first if case.verdict.failed and not is_new(case.verdict)}
    told = told_together(case.verdict for case in cases.values())
    return tuple(_of_group(each, cases) if isinstance(each, Group) else _alone(cases[each.case.key]) for each in told)


def _alone(case: ReportCase) -> Decision:
    return Decision((Row(case_line(case), case.verdict.sentence),))


def _of_group(group: Group, cases: dict[str, ReportCase]) -> Decision:
    rows = tuple(_short(verdict, cases) for verdict in group.verdicts)
    return Decision(rows, f"{group.title}.", group.verdicts[0].cause)


def _short(verdict: Verdict, cases: dict[str, ReportCase]) -> Row:
    return Row(case_line(cases[verdict.case.key]), verdict.short)
