"""Tells findings about the subject of a task from those about what a result shows beside it, to compare. Pure."""

from __future__ import annotations

from xai_eval.result.fields import Finding

# The task of one method that shows another beside it, and the name of that other in its fields and tables.
_BESIDE = {"lime": "gradcam"}


def is_beside(finding: Finding, task: str) -> bool:
    """Whether a finding is about another method than that of its task, such as Grad-CAM in the task lime."""
    other = _BESIDE.get(task)
    if other is None:
        return False
    return finding.field.removesuffix("_layer") == other or finding.measure.endswith(f" of {other}")
