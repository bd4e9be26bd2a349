"""The changes that a reviewer has to look at, as lines for the terminal and as JSON values."""

from __future__ import annotations

from typing import Any

from xai_eval.gate.review import GoldenChange, Review
from xai_eval.media import terminal
from xai_eval.report.text.wording import count

_SHOWN = 12  # digits of a commit


def review_lines(found: Review, branch: str) -> list[str]:
    """Return one line per change, most of which tell who accepted a golden and why."""
    lines = [
        *(terminal.sentence(f"golden {each.key}: {_sentence(each)}") for each in found.goldens),
        *(terminal.sentence(f"setting {text}") for text in found.settings),
        *(terminal.sentence(f"quarantine {text}") for text in found.quarantine),
    ]
    told = f"{count(len(found.goldens), 'golden')}, {count(len(found.settings), 'setting')}"
    entries = f"{len(found.quarantine)} {'value' if len(found.quarantine) == 1 else 'values'} of the quarantine"
    return [f"since {branch} ({found.commit[:_SHOWN]}): {told} and {entries} differ", *lines]


def review_document(found: Review, branch: str) -> dict[str, Any]:
    """Return the changes as JSON values."""
    return {
        "branch": branch,
        "commit": found.commit,
        "goldens": [
            {
                "case": each.key,
                "kind": each.kind,
                "files": list(each.files),
                "problem": each.problem,
                "who": each.acceptance.who if each.acceptance else "",
                "when": each.acceptance.when if each.acceptance else "",
                "reason": each.acceptance.reason if each.acceptance else "",
                "entered": each.entered,
                "verdict": each.verdict.short if each.verdict else "",
                "lost": [str(part) for part in each.lost],
                "tolerances": list(each.tolerances),
            }
            for each in found.goldens
        ],
        "settings": list(found.settings),
        "quarantine": list(found.quarantine),
    }


def _sentence(change: GoldenChange) -> str:
    # What people wrote comes last, so that no part of it can be taken for what was found out.
    parts = [
        f"{change.kind} ({', '.join(change.files)})",
        change.problem and f"PROBLEM: {change.problem}",
        change.verdict.short.rstrip(".") if change.verdict else "",
        f"no longer watched: {', '.join(map(str, change.lost))}" if change.lost else "",
        f"tolerances that it states (without effect): {'; '.join(change.tolerances)}" if change.tolerances else "",
        _who(change),
    ]
    return "; ".join(filter(None, parts))


def _who(change: GoldenChange) -> str:
    if change.acceptance is None:
        return ""
    entry = change.acceptance
    by = f"accepted by {entry.who or 'unknown'} on {entry.when}: {entry.reason}"
    return by if change.entered or change.kind in ("beside it", "removed") else f"WITHOUT A NEW ENTRY, last {by}"
