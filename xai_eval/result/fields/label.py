"""A name, such as a class or a concept, that is compared for equality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from xai_eval.result.fields.base import Difference, Field, Severity, Statement, register


@register
@dataclass(frozen=True)
class Label(Field):
    """A word or sentence; None if there is none. A changed label is a changed conclusion.

    `index` distinguishes classes of the same name: ImageNet has two cranes.
    """

    kind: ClassVar[str] = "label"
    text: str | None
    index: int | None = None

    def __str__(self) -> str:
        if self.text is None:
            return "none"
        return self.text if self.index is None else f"{self.text} ({self.index})"

    def differences(self, golden: Label) -> Iterator[Difference]:
        """Whether the labels are equal; there is no signed change."""
        yield Difference("label", float(self != golden), 0.0, self._statements(golden))

    def _statements(self, golden: Label) -> Iterator[Statement]:
        yield Statement(Severity.CONCLUSION, "label", f"it was {golden} and is {self} now")
