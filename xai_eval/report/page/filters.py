"""The filters of the page: severity, cause, task, model and quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.report.page.case_view import CaseLine

# The choice for cases without a severity or cause, because nothing in them changed, or without a model.
NONE = "none"


@dataclass(frozen=True)
class Filter:
    """One filter; `choices` are its values with the number of their cases, in the order of the page."""

    name: str
    choices: tuple[tuple[str, int], ...]


def filters(views: Sequence[CaseLine]) -> list[Filter]:
    """Return the filters that have more than one value among the cases."""
    found = [
        Filter("severity", _count([[view.severity or NONE] for view in views])),
        Filter("cause", _count([view.causes or [NONE] for view in views])),
        Filter("task", _count([[view.task] for view in views])),
        Filter("model", _count([[view.model or NONE] for view in views])),
        Filter("quarantine", _count([[view.quarantine or NONE] for view in views])),
    ]
    return [each for each in found if len(each.choices) > 1]


def _count(values: Sequence[Sequence[str]]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(value for each in values for value in each).items())
