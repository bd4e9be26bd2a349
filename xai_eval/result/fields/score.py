"""One number with an absolute tolerance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from xai_eval.result.fields.base import Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import apart


@register
@dataclass(frozen=True)
class Score(Field):
    """A number; `tolerance` is the largest absolute difference that counts as unchanged."""

    kind: ClassVar[str] = "score"
    value: float
    tolerance: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))

    def differences(self, golden: Score) -> Iterator[Difference]:
        """The absolute difference, and the signed one."""
        distance = apart(self.value, golden.value)
        sentence = f"{golden.value:.6g} became {self.value:.6g} (may differ by at most {self.tolerance:g})"
        yield Difference(
            "difference",
            distance,
            self.tolerance,
            [Statement(Severity.NUMBERS, "difference", sentence, distance, self.tolerance)],
            [Shift("difference", self.value - golden.value, self.tolerance)],
        )
