"""The filters of the page: severity, cause, task, model and quarantine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from xai_eval.report.page.case_view import CaseLine

# The choice for cases without a severity or cause, because nothing in them changed, or without a model.
NONE = "none"


@dataclass(frozen=True)
class Filter:
    """One filter; `choices` are its values with the number of their cases, in the order of the page."""

    name: str
    choices: tuple[tuple[str, int], ...]


class FilterCounts:
    """Counts the values of each filter, case by case."""

    def __init__(self) -> None:
        """Begin without any case."""
        self._counts = {name: Counter[str]() for name in ("severity", "cause", "task", "model", "quarantine")}

    def add(self, line: CaseLine) -> None:
        """Count one case; a case may have several causes."""
        values = {"severity": line.severity, "task": line.task, "model": line.model, "quarantine": line.quarantine}
        for name, value in values.items():
            self._counts[name][value or NONE] += 1
        self._counts["cause"].update(line.causes or [NONE])

    def filters(self) -> list[Filter]:
        """Return the filters that have more than one value among the cases."""
        found = [Filter(name, tuple(counts.items())) for name, counts in self._counts.items()]
        return [each for each in found if len(each.choices) > 1]
