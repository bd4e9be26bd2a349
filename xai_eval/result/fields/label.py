"""A name, such as a class or a concept, that is compared for equality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from xai_eval.disk.typed import entry
from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Statement, register

# Made once, because to make such a type takes longer than to read an entry.
_TEXT, _INDEX, _TEXTS = str | None, int | None, tuple[str, ...]


@register
@dataclass(frozen=True)
class Label(Field):
    """A word or sentence; None if there is none. A changed label is a changed conclusion.

    `index` distinguishes classes of the same name: ImageNet has two cranes. `possible` holds other texts that rounding
    could have given, for a text that is chosen by thresholds.
    """

    kind: ClassVar[str] = "label"
    text: str | None
    index: int | None = None
    possible: tuple[str, ...] = ()

    def meta(self) -> dict[str, Any]:
        """Text and index, and what else was possible, where anything was."""
        also = {"possible": list(self.possible)} if self.possible else {}
        return {"text": self.text, "index": self.index, **also}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        possible = entry(meta, "possible", _TEXTS, ())
        return cls(entry(meta, "text", _TEXT), entry(meta, "index", _INDEX), possible)

    def condensed(self) -> Label:
        """The label alone."""
        return Label(self.text, self.index)

    def __str__(self) -> str:
        if self.text is None:
            return "none"
        return self.text if self.index is None else f"{self.text} ({self.index})"

    def differences(self, golden: Label) -> Iterator[Difference]:
        """Whether the label is that of the golden, or could have been; there is no signed change."""
        texts = (self.text, *self.possible)
        same = self.index == golden.index and golden.text in texts
        yield Difference("label", float(not same), 0.0, self._statements(golden))

    def _statements(self, golden: Label) -> Iterator[Statement]:
        if self.index is not None and self.index == golden.index:
            # Only the name is another one: "it was class 4 (4) and is 4 (4) now" would read like another class.
            sentence = f"class {self.index} was called {golden.text} and is called {self.text} now"
        else:
            sentence = f"it was {golden} and is {self} now"
        yield Statement(Severity.CONCLUSION, "label", sentence)
