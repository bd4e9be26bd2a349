"""A small JSON document that is used further: chosen settings, chosen methods."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Extensible, Finding, Severity, Shift


@dataclass(frozen=True)
class Document(Extensible):
    """JSON values by name. Another value is another conclusion."""

    kind: ClassVar[str] = "document"
    part: ClassVar[str] = "entry"
    content: Mapping[str, Any]

    def __post_init__(self) -> None:
        # What the disk makes of it, so that a tuple here and a list there are equal.
        object.__setattr__(self, "content", json.loads(json.dumps(self.content, allow_nan=False)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """No arrays."""
        return {}

    def meta(self) -> dict[str, Any]:
        """The document."""
        return {"content": dict(self.content)}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(meta["content"])

    def condensed(self) -> Document:
        """Documents are small already."""
        return self

    def parts(self) -> tuple[str, ...]:
        """The entries; what one holds is its value, and another value is another conclusion."""
        return tuple(self.content)

    def without(self, names: Collection[str]) -> Document:
        """The document without the entries `names`."""
        return Document({name: value for name, value in self.content.items() if name not in names})

    def compare(self, golden: Document, name: str) -> tuple[Finding, ...]:
        """Compare value by value."""
        was, now = dict(_leaves(golden.content)), dict(_leaves(self.content))
        places = [place for place in dict.fromkeys((*was, *now)) if _text(was, place) != _text(now, place)]
        return tuple(
            Finding(name, Severity.CONCLUSION, place, f"{place} was {_text(was, place)}, is {_text(now, place)}")
            for place in places
        )

    def distances(self, other: Document) -> tuple[Distance, ...]:
        """How many values differ."""
        return (Distance("values", float(len(self.compare(other, ""))), 0.0),)

    def shifts(self, golden: Document) -> tuple[Shift, ...]:
        """Documents have no direction."""
        return ()


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _text(leaves: Mapping[str, Any], place: str) -> str:
    return json.dumps(leaves[place], ensure_ascii=False) if place in leaves else "nothing"
