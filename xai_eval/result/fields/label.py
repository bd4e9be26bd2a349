"""A name that is either the same or not: a class, a concept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from xai_eval.result.fields.base import Difference, Field, Severity, Statement, register


@register
@dataclass(frozen=True)
class Label(Field):
    """One word or sentence, None where there is none. Another one is another conclusion.

    `index` tells classes of one name apart: ImageNet has two cranes.
    """

    kind: ClassVar[str] = "label"
    text: str | None
    index: int | None = None

    def __str__(self) -> str:
        if self.text is None:
            return "none"
        return self.text if self.index is None else f"{self.text} ({self.index})"

    def differences(self, golden: Label) -> Iterator[Difference]:
        """Equal or not; labels have no direction."""
        yield Difference("label", float(self != golden), 0.0, self._statements(golden))

    def _statements(self, golden: Label) -> Iterator[Statement]:
        yield Statement(Severity.CONCLUSION, "label", f"it was {golden} and is {self} now")
