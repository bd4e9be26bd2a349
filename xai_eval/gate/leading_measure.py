"""The measure of a verdict that is farthest beyond its limit: what the history of a case is told by."""

from __future__ import annotations

from typing import NamedTuple

from xai_eval.gate.verdict import Verdict
from xai_eval.result.naming import plain, title


class LeadingMeasure(NamedTuple):
    """What was measured, with value and limit in words; and how far it is beyond its limit, 1 being at the limit."""

    words: str = ""
    excess: float = 0.0


def leading_measure(verdict: Verdict) -> LeadingMeasure:
    """Return the measure of the finding that a verdict leads with; an empty one if nothing was measured."""
    worst = next(iter(verdict.findings), None)
    if worst is None or worst.value is None or worst.limit is None:
        return LeadingMeasure()
    needs = "needs at least" if worst.value < worst.limit else "may be at most"
    words = f"{title(worst.field)}, {plain(worst.measure)}: {worst.value:.3g} ({needs} {worst.limit:.3g})"
    return LeadingMeasure(words, worst.excess)
