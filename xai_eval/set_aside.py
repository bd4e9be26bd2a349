"""Marking the verdicts of cases in quarantine. Pure: verdicts and entries in, verdicts out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from xai_eval.drift import State, Verdict
from xai_eval.errors import unknown_name
from xai_eval.quarantine import QUARANTINE_FILE, Quarantine
from xai_eval.result import Case


def set_aside(verdicts: Sequence[Verdict], entries: Mapping[str, Quarantine], known: Collection[str]) -> list[Verdict]:
    """Mark the verdicts of cases in quarantine, and put in front an error for each entry that names no case.

    Args:
        verdicts: of a whole run.
        entries: by case key.
        known: keys of all goldens and of all results of the run.
    """
    marked = [dataclasses.replace(each, quarantine=entries.get(each.case.key)) for each in verdicts]
    return [*(_stranger(key, known) for key in entries if key not in known), *marked]


def _stranger(key: str, known: Collection[str]) -> Verdict:
    task, _, name = key.partition("/")
    advice = unknown_name("case", key, sorted(known))
    reason = f"{QUARANTINE_FILE} sets aside what is neither a golden nor a result of this run: {advice}"
    return Verdict(Case(task, "?", name or key), State.ERROR, reason=reason)
