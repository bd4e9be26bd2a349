"""Cases in quarantine that do not fail the run: what ends their quarantine, and the command for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xai_eval.gate.verdict import State
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.thumbnails import Thumbnail, thumbnails
from xai_eval.report.page.case_view import ACCEPTABLE, CaseLine, case_line
from xai_eval.report.text.commands import Folders, accept_command
from xai_eval.store.quarantine import QUARANTINE_FILE


@dataclass(frozen=True)
class Aside:
    """One case in quarantine.

    Attributes:
        view: the case.
        remedy: what ends its quarantine; it ends in the command if there is one.
        command: that accepts what was obtained; empty where that would change nothing.
        images: small images of what drifted.
    """

    view: CaseLine
    remedy: str
    command: str
    images: tuple[Thumbnail, ...]


def asides(worst_first: Sequence[ReportCase], where: Folders) -> Iterator[Aside]:
    """Yield the cases in quarantine that do not fail the run."""
    for case in worst_first:
        quarantine = case.verdict.quarantine
        if quarantine is not None and not case.verdict.failed:
            entry = f'the entry ["{quarantine.entry or case.key}"] of {where.golden / QUARANTINE_FILE}'
            yield _aside(case, entry, where)


def _aside(case: ReportCase, entry: str, where: Folders) -> Aside:
    if case.verdict.state not in ACCEPTABLE:
        again = "It matches its golden again. D" if case.verdict.state is State.OK else "Once it is mended, d"
        return Aside(case_line(case), f"{again}elete {entry}.", "", ())
    remedy = f"Once it is mended, delete {entry}. If what was obtained is right instead, accept it first:"
    command = accept_command(case.key, where.results, where.golden)
    return Aside(case_line(case), remedy, command, thumbnails(case.unloaded()))
