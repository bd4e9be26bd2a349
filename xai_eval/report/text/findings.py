"""A verdict as the page tells it: subject first, then what changed, then what to do."""

from __future__ import annotations

import math

from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import Verdict, unwatched_clause
from xai_eval.report.text.wording import cell_text, count
from xai_eval.result.fields import Finding
from xai_eval.result.glossary import term
from xai_eval.result.naming import plain, title


def told(verdict: Verdict) -> str:
    """Return the verdict in plain sentences; one without findings in its own."""
    if not verdict.findings:
        return plain(verdict.sentence)
    return f"{_difference(verdict)} {_beginning(verdict.origin)} {_since(verdict)}{_aside(verdict)}"


def told_in_short(verdict: Verdict) -> str:
    """Return the verdict without where it began and what changed since, for a place that lists these beside it."""
    return f"{_difference(verdict)}{_aside(verdict)}" if verdict.findings else told(verdict)


def step_told(origin: StageShift) -> str:
    """Return the step that makes the first stage that changed, and what was unchanged before it; empty if unknown."""
    if origin.responsible is None:
        return ""
    held = ", ".join(map(str, origin.responsible.held))
    return f"{origin.responsible.step}{f' (unchanged before it: {held})' if held else ''}"


def _aside(verdict: Verdict) -> str:
    """What is unwatched, and whether the case is set aside."""
    quarantine = f" {verdict.quarantine.sentence}" if verdict.quarantine else ""
    return f"{unwatched_clause(verdict.unwatched)}{quarantine}"


def finding_told(finding: Finding) -> str:
    """Return one finding: 'Grad-CAM: rank correlation 0.88, needs at least 0.95'."""
    if finding.value is None or finding.limit is None or " became " in finding.sentence:
        return f"{title(finding.field)}: {plain(finding.sentence)}"
    return f"{title(finding.field)}: {measure_words(finding)}: {finding.value:.2g}, {needs(finding)}"


def measure_words(finding: Finding) -> str:
    """Return what was measured: 'distance that the heat moved', 'overlap of the hottest 5%'."""
    measure = finding.measure.strip(" ,")
    known = term(measure)
    # The words of a term that comes with a share would lose it.
    return plain(measure) if known is None or "%" in measure else known.words


def needs(finding: Finding) -> str:
    """Return the limit with its direction, which follows from the side of it that the value lies on."""
    if finding.value is None or finding.limit is None:
        return cell_text(finding.limit)
    below = finding.value < finding.limit
    return f"{'needs at least' if below else 'may be at most'} {cell_text(finding.limit)}"


def _difference(verdict: Verdict) -> str:
    worst, others = verdict.findings[0], len(verdict.findings) - 1
    more = f"; {count(others, 'more finding')}" if others else ""
    return f"The {worst.severity.label} changed: {finding_told(worst)}{more}."


def _beginning(origin: StageShift | None) -> str:
    """Where it began: the first stage that changed, by how much, and the step that makes it."""
    if origin is None:
        return "No stage is recorded that could tell where it began."
    step = step_told(origin)
    amount = f", relative {origin.change:.2g}" if math.isfinite(origin.change) else ""
    return f"It began at: {plain(str(origin.stage))}{amount}.{f' Responsible step: {step}.' if step else ''}"


def _since(verdict: Verdict) -> str:
    if not verdict.changes:
        return "Nothing that is recorded changed since the golden was accepted: look at the code."
    return f"Since the golden was accepted, this changed: {', '.join(map(str, verdict.changes))}."
