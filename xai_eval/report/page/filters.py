"""What the cases of a page can be filtered by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.report.page.case_view import CaseLine

# A choice for the cases that have no severity or cause, because nothing was found to differ.
NONE = "none"


@dataclass(frozen=True)
class Filter:
    """One thing to choose by; `choices` are values with the number of their cases, in the order of the page."""

    name: str
    choices: tuple[tuple[str, int], ...]


def filters(views: Sequence[CaseLine]) -> list[Filter]:
    """Return the filters that can tell some of the cases from others."""
    found = [
        Filter("severity", _count([[view.severity or NONE] for view in views])),
        Filter("cause", _count([view.causes or [NONE] for view in views])),
        Filter("task", _count([[view.task] for view in views])),
        Filter("model", _count([[view.model] for view in views])),
    ]
    return [each for each in found if len(each.choices) > 1]


def _count(values: Sequence[Sequence[str]]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(value for each in values for value in each).items())
