"""The beginning of the page: the table of contents, and the lists of cases that somebody has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.verdict import State
from xai_eval.report.page.case_view import CaseLine
from xai_eval.report.text.summary import state_word

NEW = state_word(State.MISSING)
_ACCEPTED_WITH_ALL = {str(State.DRIFT), str(State.INCOMPARABLE)}


@dataclass(frozen=True)
class Link:
    """One entry of the table of contents: its target, its text, and the number of cases there."""

    anchor: str
    text: str
    number: int


@dataclass(frozen=True)
class Lists:
    """The lists of cases above the sections of the tasks.

    Attributes:
        failed: cases that fail the run, without the new ones.
        new: cases without a golden; in a first run these are all.
        aside: cases in quarantine, which do not fail the run.
        warned: cases whose maps explain another class than the image is meant to show.
        fine: cases that are ok.
    """

    failed: tuple[CaseLine, ...]
    new: tuple[CaseLine, ...]
    aside: tuple[CaseLine, ...]
    warned: tuple[CaseLine, ...]
    fine: tuple[CaseLine, ...]

    @property
    def only_new(self) -> bool:
        """Whether `accept --all` would accept only the new cases of the run."""
        return not any(each.state in _ACCEPTED_WITH_ALL for each in (*self.failed, *self.aside))


def lists_of(lines: Sequence[CaseLine]) -> Lists:
    """Sort the cases of a page, the worst first, into its lists."""
    return Lists(
        failed=tuple(each for each in lines if each.failed and each.state != NEW),
        new=tuple(each for each in lines if each.failed and each.state == NEW),
        aside=tuple(each for each in lines if each.quarantine and not each.failed),
        warned=tuple(each for each in lines if each.audit),
        fine=tuple(each for each in lines if each.fine),
    )


def contents(lists: Lists, tasks: Sequence[tuple[str, int]]) -> tuple[Link, ...]:
    """Return the table of contents: the lists that are not empty, then every task with the number of its cases."""
    above = (
        Link("failed", "What needs a decision", len(lists.failed)),
        Link("new", "New", len(lists.new)),
        Link("aside", "In quarantine", len(lists.aside)),
        Link("warned", "Target warnings", len(lists.warned)),
    )
    return (*(each for each in above if each.number), *(Link(f"task--{task}", task, number) for task, number in tasks))
