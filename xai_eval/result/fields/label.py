"""A name that is either the same or not: a class, a concept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift


@dataclass(frozen=True)
class Label:
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

    def arrays(self) -> dict[str, NDArray[Any]]:
        """No numbers."""
        return {}

    def meta(self) -> dict[str, Any]:
        """Text and index."""
        return {"text": self.text, "index": self.index}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(meta["text"], meta["index"])

    def condensed(self) -> Label:
        """Labels are small already."""
        return self

    def compare(self, golden: Label, name: str) -> tuple[Finding, ...]:
        """Equal or not."""
        if self == golden:
            return ()
        sentence = f"was {golden}, is {self}"
        return (Finding(name, Severity.CONCLUSION, "label", sentence),)

    def distances(self, other: Label) -> tuple[Distance, ...]:
        """1 for another label."""
        return (Distance("label", float(self != other), 0.0),)

    def shifts(self, golden: Label) -> tuple[Shift, ...]:
        """Labels have no direction."""
        return ()
