"""A verdict as the page tells it: subject first, then what changed, then what to do."""

from __future__ import annotations

import math

from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import Verdict
from xai_eval.report.text.wording import cell_text, count, plain, title
from xai_eval.result.fields import Finding


def told(verdict: Verdict) -> str:
    """Return the verdict in plain sentences; one without findings in its own."""
    if not verdict.findings:
        return plain(verdict.sentence)
    aside = f" {verdict.quarantine.sentence}" if verdict.quarantine else ""
    return f"{_difference(verdict)} {_beginning(verdict.origin)} {_since(verdict)}{aside}"


def finding_told(finding: Finding) -> str:
    """Return one finding: 'Grad-CAM: rank correlation 0.88, needs at least 0.95'."""
    if finding.value is None or finding.limit is None or " became " in finding.sentence:
        return f"{title(finding.field)}: {plain(finding.sentence)}"
    measure = plain(finding.measure.strip(" ,"))
    return f"{title(finding.field)}: {measure}: {finding.value:.2g}, {needs(finding)}"


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
    amount = f", relative {origin.change:.2g}" if math.isfinite(origin.change) else ""
    return f"It began at: {plain(str(origin.name))}{amount}.{_step(origin)}"


def _step(origin: StageShift) -> str:
    if origin.responsible is None:
        return ""
    held = ", ".join(map(str, origin.responsible.held))
    return f" Responsible step: {origin.responsible.step}{f' (unchanged before it: {held})' if held else ''}."


def _since(verdict: Verdict) -> str:
    if not verdict.changes:
        return "Nothing that is recorded changed since the golden was accepted: look at the code."
    return f"Since the golden was accepted, this changed: {', '.join(map(str, verdict.changes))}."
