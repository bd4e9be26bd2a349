"""A small JSON document that is used further: chosen settings, chosen methods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift


@dataclass(frozen=True)
class Document:
    """JSON values by name. Another value is another conclusion."""

    kind: ClassVar[str] = "document"
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

    def compare(self, golden: Document, name: str) -> tuple[Finding, ...]:
        """Compare value by value."""
        was, now = dict(_leaves(golden.content)), dict(_leaves(self.content))
        places = [place for place in dict.fromkeys((*was, *now)) if was.get(place) != now.get(place)]
        return tuple(
            Finding(
                name, Severity.CONCLUSION, place, f"{place} was {_text(was.get(place))}, is {_text(now.get(place))}"
            )
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


def _text(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
