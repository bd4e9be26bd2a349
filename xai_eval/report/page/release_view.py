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
        colour: `good`, `bad`, or `open` if there is no telling, or somebody has to accept what changed. It is that of
            the first sentence of the page, so that no two colours stand for one outcome.
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


def release_view(run_findings: RunFindings, *, failed: bool) -> ReleaseView | None:
    """Return the section; None if nothing was upgraded. `failed` says whether cases wait for a decision."""
    release = run_findings.release
    if release is None:
        return None
    waiting = {Outcome.WORSE: "bad", Outcome.CANNOT_TELL: "open", Outcome.NOT_WORSE: "open" if failed else "good"}
    colour = waiting.get(release.outcome, "good")
    return ReleaseView(
        f"{answer(release)}.",
        colour,
        release_tables(release),
        HEADINGS,
        LEGEND if release.tested else "",
        covered_sentence(run_findings.covered),
    )
