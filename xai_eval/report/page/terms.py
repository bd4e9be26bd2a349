"""The terms of the page in groups: states, severities, steps of the computation, and measures."""

from __future__ import annotations

from dataclasses import dataclass

from xai_eval.gate.stage_table import meanings
from xai_eval.result.glossary import Term, all_terms, badge_term, severity_terms, state_terms


@dataclass(frozen=True)
class TermGroup:
    """Terms of one sort."""

    title: str
    terms: tuple[Term, ...]


def term_groups() -> tuple[TermGroup, ...]:
    """Return every term that the page uses."""
    stages = tuple(Term(name, meaning) for name, meaning in meanings().items())
    return (
        TermGroup("States of a case", state_terms()),
        TermGroup("Severities of a drift", severity_terms()),
        TermGroup("Measures", all_terms()),
        TermGroup("Steps of the computation", stages),
    )


def meaning(word: str) -> str:
    """Return the explanation of a state or a severity; empty for any other word."""
    found = badge_term(word)
    return found.explanation if found else ""
