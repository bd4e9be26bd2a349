"""The beginning of the page: the table of contents, and the lists of cases that somebody has to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.page.case_view import CaseLine
from xai_eval.report.text.summary import state_word

NEW = state_word(State.MISSING)
_ACCEPTED_WITH_ALL = {State.DRIFT, State.INCOMPARABLE}
LISTS = ("failed", "new", "aside", "warned", "fine")


@dataclass(frozen=True)
class Link:
    """One entry of the table of contents: its target, its text, the number of cases there, and the page if another."""

    anchor: str
    text: str
    number: int
    page: str = ""


@dataclass(frozen=True)
class Lists:
    """The lists of cases above the sections of the tasks, as far as the cases are on the first page.

    Attributes:
        failed: cases that fail the run, without the new ones.
        new: cases without a golden; in a first run these are all.
        aside: cases in quarantine, which do not fail the run.
        warned: cases whose maps explain another class than the image is meant to show.
        fine: cases that are ok.
        numbers: of all cases of each list, whatever page they are on.
    """

    failed: tuple[CaseLine, ...]
    new: tuple[CaseLine, ...]
    aside: tuple[CaseLine, ...]
    warned: tuple[CaseLine, ...]
    fine: tuple[CaseLine, ...]
    numbers: Mapping[str, int]

    def more(self, name: str) -> int:
        """Return how many cases of a list are on other pages."""
        return self.numbers[name] - len(getattr(self, name))


def places_of(line: CaseLine) -> Iterator[str]:
    """Yield the lists that a case is in."""
    if line.failed:
        yield "new" if line.state == NEW else "failed"
    if line.quarantine and not line.failed:
        yield "aside"
    if line.audit:
        yield "warned"
    if line.fine:
        yield "fine"


def lists_of(lines: Iterable[CaseLine], numbers: Mapping[str, int]) -> Lists:
    """Sort the cases of the first page, the worst first, into its lists."""
    found: dict[str, list[CaseLine]] = {name: [] for name in LISTS}
    for line in lines:
        for name in places_of(line):
            found[name].append(line)
    return Lists(**{name: tuple(each) for name, each in found.items()}, numbers=numbers)


def only_new(verdicts: Iterable[Verdict]) -> bool:
    """Whether `accept --all` would accept only the new cases of the run."""
    return not any(
        each.state in _ACCEPTED_WITH_ALL and (each.failed or each.quarantine is not None) for each in verdicts
    )


def contents(numbers: Mapping[str, int], tasks: Sequence[tuple[str, int, str]]) -> tuple[Link, ...]:
    """Return the table of contents: the lists that are not empty, then every task.

    Args:
        numbers: of the cases of each list.
        tasks: name, number of cases, and page if it is not the first, of each task.
    """
    above = (
        Link("failed", "What needs a decision", numbers["failed"]),
        Link("new", "New", numbers["new"]),
        Link("aside", "In quarantine", numbers["aside"]),
        Link("warned", "Target warnings", numbers["warned"]),
    )
    below = (Link(f"task--{task}", task, number, page) for task, number, page in tasks)
    return (*(each for each in above if each.number), *below)
