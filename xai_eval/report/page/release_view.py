"""The section of the page that answers the release question."""

from __future__ import annotations

from dataclasses import dataclass

from xai_eval.gate.release.release import Outcome
from xai_eval.gate.run_findings import RunFindings
from xai_eval.report.text.release import (
    HEADINGS,
    LEGEND,
    ReleaseTable,
    answer,
    covered_sentence,
    release_tables,
)


@dataclass(frozen=True)
class ReleaseView:
    """What the section shows.

    Attributes:
        sentence: the answer.
        colour: `good`, `bad`, or `open` if there is no telling.
        tables: one per task and model; without rows if nothing moved.
        headings: of the columns of all tables.
        legend: how to read the tables; empty if they have no rows.
        covered: what was not looked for because of the upgrade; may be empty.
    """

    sentence: str
    colour: str
    tables: tuple[ReleaseTable, ...]
    headings: tuple[str, ...]
    legend: str
    covered: str


def release_view(run_findings: RunFindings) -> ReleaseView | None:
    """Return the section; None if nothing was upgraded."""
    release = run_findings.release
    if release is None:
        return None
    colour = {Outcome.WORSE: "bad", Outcome.CANNOT_TELL: "open"}.get(release.outcome, "good")
    return ReleaseView(
        f"{answer(release)}.",
        colour,
        release_tables(release),
        HEADINGS,
        LEGEND if release.tested else "",
        covered_sentence(run_findings.covered),
    )
