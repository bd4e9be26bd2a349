"""Findings and the responsible step as columns of a table: what was measured, and its limit with a direction."""

from __future__ import annotations

from xai_eval.gate.stages import StageShift
from xai_eval.result.fields import Finding
from xai_eval.result.glossary import term
from xai_eval.result.naming import plain


def responsible_step(origin: StageShift) -> str:
    """Return the step that makes the first stage that changed, and how far those before it moved; empty if unknown."""
    found = origin.responsible
    if found is None:
        return ""
    held = f"unchanged before it: {', '.join(found.held)}" if found.held else ""
    known = "; ".join([*([held] if held else []), *found.slight])
    return f"{found.step}{f' ({known})' if known else ''}"


def measure_words(finding: Finding) -> str:
    """Return what was measured: 'distance that the heat moved', 'overlap of the hottest 5%'."""
    known = term(finding.measure)
    # The words of a term that comes with a share would lose it.
    return plain(finding.measure) if known is None or "%" in finding.measure else known.words


def needs(finding: Finding) -> str:
    """Return the direction of the limit, which follows from the side of it that the value lies on."""
    if finding.value is None or finding.limit is None:
        return ""
    return "at least" if finding.value < finding.limit else "at most"
