"""The stages that a case went through, held against those of its golden."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xai_eval.fingerprint import Fingerprint
from xai_eval.report.cases import ReportCase


@dataclass(frozen=True)
class Stage:
    """One stage: `change` in words, and whether it stands `before`, `first`, or `after` where the drift began."""

    name: str
    change: str
    place: str


def stage_chain(case: ReportCase) -> tuple[Stage, ...]:
    """Return the stages in the golden's order, the first that moved marked; none where there is nothing to compare."""
    if case.obtained is None or case.golden is None:
        return ()
    first = case.verdict.origin.name if case.verdict.origin else None
    stages, place = [], "before"
    for name, was in case.golden.stages.items():
        place = "first" if name == first else "after" if place == "first" else place
        stages.append(Stage(name, _change(case.obtained.stages.get(name), was), place))
    return tuple(stages)


def _change(now: Fingerprint | None, was: Fingerprint) -> str:
    if now is None:
        return "is gone"
    change = now.distance(was)
    if change == 0.0:
        return "equal"
    return f"relative {change:.2g}" if math.isfinite(change) else "another"
