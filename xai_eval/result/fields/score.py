"""One number with an absolute tolerance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from xai_eval.disk.typed import entry
from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import apart, to_json
from xai_eval.result.fields.possible import Possible, nearest


@register
@dataclass(frozen=True)
class Score(Field):
    """A number.

    Attributes:
        value: the number.
        tolerance: the largest absolute difference that counts as unchanged.
        possible: the values that rounding could have given; None if the number does not jump.
    """

    kind: ClassVar[str] = "score"
    value: float
    tolerance: float
    possible: Possible | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))

    def meta(self) -> dict[str, Any]:
        """Value and tolerance, and what else was possible, where anything was."""
        also = {} if self.possible is None else {"possible": list(map(to_json, self.possible))}
        return {"value": to_json(self.value), "tolerance": to_json(self.tolerance), **also}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        value, tolerance = (float(entry(meta, name, float)) for name in ("value", "tolerance"))
        return cls(value, tolerance, entry(meta, "possible", Possible, None))

    def condensed(self) -> Score:
        """The number alone."""
        return Score(self.value, self.tolerance)

    def differences(self, golden: Score) -> Iterator[Difference]:
        """The absolute difference, and the signed one, of the possible value that is nearest to the golden."""
        now = nearest(self.value, self.possible, golden.value)
        distance = apart(now, golden.value)
        sentence = f"{golden.value:.6g} became {self.value:.6g} (may differ by at most {self.tolerance:g})"
        yield Difference(
            "difference",
            distance,
            self.tolerance,
            [Statement(Severity.NUMBERS, "difference", sentence, distance, self.tolerance)],
            [Shift("difference", now - golden.value, self.tolerance)],
        )
