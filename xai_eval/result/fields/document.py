"""A small JSON document that is used further: chosen settings, chosen methods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from xai_eval.result.fields.base import Difference, Field, Severity, Statement, register


@register
@dataclass(frozen=True)
class Document(Field):
    """JSON values by name. Another value is another conclusion."""

    kind: ClassVar[str] = "document"
    content: Mapping[str, Any]

    def __post_init__(self) -> None:
        # What the disk makes of it, so that a tuple here and a list there are equal.
        object.__setattr__(self, "content", json.loads(json.dumps(self.content, allow_nan=False)))

    def differences(self, golden: Document) -> Iterator[Difference]:
        """How many values differ; documents have no direction."""
        was, now = dict(_leaves(golden.content)), dict(_leaves(self.content))
        changed = [place for place in dict.fromkeys((*was, *now)) if was.get(place) != now.get(place)]
        yield Difference("values", float(len(changed)), 0.0, (_changed(place, was, now) for place in changed))


def _changed(place: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Statement:
    sentence = f"{place} was {_text(was.get(place))}, is {_text(now.get(place))}"
    return Statement(Severity.CONCLUSION, place, sentence)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _text(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
