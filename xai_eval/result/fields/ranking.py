"""The first few of many names with their values, such as the most probable classes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from xai_eval.result.fields.base import Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import apart


@register
@dataclass(frozen=True)
class Ranking(Field):
    """Names with values, largest first. `tolerance` is absolute, and values closer than that are tied."""

    kind: ClassVar[str] = "ranking"
    names: tuple[str, ...]
    values: tuple[float, ...]
    tolerance: float

    def __post_init__(self) -> None:
        if len(self.names) != len(self.values):
            raise ValueError(f"a ranking needs one value per name, got {len(self.names)} and {len(self.values)}")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"names of a ranking must differ, got {self.names}")
        object.__setattr__(self, "values", tuple(map(float, self.values)))

    def differences(self, golden: Ranking) -> Iterator[Difference]:
        """The difference of the value of every name that is in either list.

        A name that is in only one list gets the last value of the other, which its own value cannot exceed. So a swap
        of two names at the end of the list within the tolerance is no change.
        """
        same_length = len(self.names) == len(golden.names)
        length = Statement(
            Severity.NUMBERS, "length", f"a list of {len(golden.names)} names became one of {len(self.names)}"
        )
        value = 0.0 if same_length else math.inf
        yield Difference("value", value, self.tolerance, [length], self._first_moved(golden))
        for name in dict.fromkeys((*golden.names, *self.names)) if same_length else ():
            was, now = golden._value(name), self._value(name)
            value = apart(was, now)
            yield Difference("value", value, self.tolerance, self._statements(name, was, now, value))

    def _statements(self, name: str, was: float, now: float, value: float) -> Iterator[Statement]:
        sentence = f"{name}: {was:.4g} became {now:.4g} (may differ by at most {self.tolerance:g})"
        yield Statement(Severity.NUMBERS, "value", sentence, value, self.tolerance)

    def _first_moved(self, golden: Ranking) -> Iterator[Shift]:
        """Yield the signed change of the value that was the largest."""
        if self.names and golden.names:
            yield Shift("first value", self._value(golden.names[0]) - golden.values[0], self.tolerance)

    def _value(self, name: str) -> float:
        return self._values.get(name, self.values[-1])

    @functools.cached_property
    def _values(self) -> dict[str, float]:
        return dict(zip(self.names, self.values, strict=True))
