"""Reads from a result whether its model answers the same image differently from pass to pass."""

from __future__ import annotations

from xai_eval.result.fields import Document
from xai_eval.result.result import Result

# What the examination of the model found, and what it asked for there (`inputs/models/examination.py`).
_FOUND, _ASKED = "model", "same answer twice"


def unsteady(result: Result) -> str:
    """Return a sentence on a model that answers the same image differently from pass to pass; empty if it does not."""
    found = result.fields.get(_FOUND)
    answer = str(found.content.get(_ASKED, "yes")) if isinstance(found, Document) else "yes"
    if not answer.startswith("no"):
        return ""
    why = answer.removeprefix("no").removeprefix(", ")
    return (
        f"The model answers the same image differently from pass to pass{f' {why}' if why else ''}, so its "
        "explanations are others in every run: make it repeat its answers first."
    )
