"""The best few of many names with their values: the top classes, the top concepts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.result.fields.numbers import apart, from_json, to_json


@dataclass(frozen=True)
class Ranking:
    """Names with values, largest first. `tolerance` is absolute, and values closer than that are tied."""

    kind: ClassVar[str] = "ranking"
    names: tuple[str, ...]
    values: tuple[float, ...]
    tolerance: float

    def __post_init__(self) -> None:
        if len(self.names) != len(self.values):
            raise ValueError(f"a ranking needs one value a name, got {len(self.names)} and {len(self.values)}")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"names of a ranking must differ, got {self.names}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The few numbers are stored as text, so that a change of them can be read in a review."""
        return {}

    def meta(self) -> dict[str, Any]:
        """Names, values and tolerance."""
        values = [to_json(v) for v in self.values]
        return {"names": list(self.names), "values": values, "tolerance": self.tolerance}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(tuple(meta["names"]), tuple(from_json(v) for v in meta["values"]), meta["tolerance"])

    def condensed(self) -> Ranking:
        """Rankings are small already."""
        return self

    def compare(self, golden: Ranking, name: str) -> tuple[Finding, ...]:
        """Compare the values of every name in either list.

        A name that fell out of the list is only known to lie at or below the last value of it, so two names that
        swap at the end of the list within the tolerance are no change.
        """
        if len(self.names) != len(golden.names):
            sentence = f"{len(golden.names)} names became {len(self.names)}"
            return (Finding(name, Severity.NUMBERS, "length", sentence),)
        compared = [self._compare_name(golden, name, each) for each in dict.fromkeys((*golden.names, *self.names))]
        return tuple(finding for finding in compared if finding)

    def distances(self, other: Ranking) -> tuple[Distance, ...]:
        """The largest difference of a value."""
        if len(self.names) != len(other.names):
            return (Distance("value", math.inf, self.tolerance),)
        names = {*self.names, *other.names}
        largest = max((apart(self._value(each), other._value(each)) for each in names), default=0.0)
        return (Distance("value", largest, self.tolerance),)

    def shifts(self, golden: Ranking) -> tuple[Shift, ...]:
        """What became of the value that was the largest."""
        if not (self.names and golden.names):
            return ()
        return (Shift("first value", self._value(golden.names[0]) - golden.values[0], self.tolerance),)

    def _compare_name(self, golden: Ranking, field: str, name: str) -> Finding | None:
        was, now = golden._value(name), self._value(name)
        distance = apart(was, now)
        if distance <= self.tolerance:
            return None
        sentence = f"{name}: {was:.4g} became {now:.4g} (limit {self.tolerance:g})"
        return Finding(field, Severity.NUMBERS, "value", sentence, distance, self.tolerance)

    def _value(self, name: str) -> float:
        return dict(zip(self.names, self.values, strict=True)).get(name, self.values[-1])
