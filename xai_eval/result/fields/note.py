"""A remark for people, such as that a part of a result is missing and why: only for reading, never judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xai_eval.result.fields.base import Difference, register
from xai_eval.result.fields.label import Label


@register
@dataclass(frozen=True)
class Note(Label):
    """A sentence or more about a result. Goldens do not store it, because what it is about is recorded elsewhere."""

    kind: ClassVar[str] = "note"

    def condensed(self) -> None:  # type: ignore[override]  # a label is kept, a remark is not
        """Nothing is kept for a golden."""
        return

    def differences(self, golden: Label) -> tuple[Difference, ...]:  # type: ignore[override]  # there are none
        """Never judged."""
        return ()
