"""One number with an absolute tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.result.fields.numbers import apart, from_json, to_json


@dataclass(frozen=True)
class Score:
    """A number; `tolerance` is the absolute difference that is still the same."""

    kind: ClassVar[str] = "score"
    value: float
    tolerance: float

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The number is stored as text, so that a change of it can be read in a review."""
        return {}

    def meta(self) -> dict[str, Any]:
        """Value and tolerance."""
        return {"value": to_json(self.value), "tolerance": self.tolerance}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(from_json(meta["value"]), meta["tolerance"])

    def condensed(self) -> Score:
        """Scores are small already."""
        return self

    def compare(self, golden: Score, name: str) -> tuple[Finding, ...]:
        """Compare the absolute difference with the tolerance."""
        distance = apart(self.value, golden.value)
        if distance <= self.tolerance:
            return ()
        sentence = f"{golden.value:.6g} became {self.value:.6g} (limit {self.tolerance:g})"
        return (Finding(name, Severity.NUMBERS, "difference", sentence, distance, self.tolerance),)

    def distances(self, other: Score) -> tuple[Distance, ...]:
        """The absolute difference."""
        return (Distance("difference", apart(self.value, other.value), self.tolerance),)

    def shifts(self, golden: Score) -> tuple[Shift, ...]:
        """The difference with its sign."""
        return (Shift("difference", self.value - golden.value, self.tolerance),)
