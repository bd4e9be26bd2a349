"""A small JSON document, such as chosen settings or methods, that other programs may use."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from xai_eval.disk.typed import entry
from xai_eval.result.fields.base import Arrays, Difference, Extensible, Severity, Statement, register
from xai_eval.result.naming import plain


@register
@dataclass(frozen=True)
class Document(Extensible):
    """JSON values by name. Any changed value is a changed conclusion, but for entries that are only for reading.

    Attributes:
        content: the values.
        unjudged: names of entries, on any level, that are not compared. What a golden says of it has no effect.
    """

    kind: ClassVar[str] = "document"
    part: ClassVar[str] = "entry"
    content: Mapping[str, Any]
    unjudged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Converted as JSON would, so that a tuple before saving equals the list that is read back.
        object.__setattr__(self, "content", json.loads(json.dumps(self.content, allow_nan=False)))

    def meta(self) -> dict[str, Any]:
        """The content; entries for reading only where there are some."""
        return {"content": dict(self.content), **({"unjudged": list(self.unjudged)} if self.unjudged else {})}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        content = entry(meta, "content", Mapping[str, Any])
        return cls(content, entry(meta, "unjudged", tuple[str, ...], ()))

    def parts(self) -> tuple[str, ...]:
        """The entries of the top level."""
        return tuple(self.content)

    def without(self, names: Collection[str]) -> Document:
        """The document without the entries `names`."""
        kept = {name: value for name, value in self.content.items() if name not in names}
        return Document(kept, self.unjudged)

    def differences(self, golden: Document) -> Iterator[Difference]:
        """The number of values that differ; there is no signed change."""
        was, now = (dict(self._judged(each.content)) for each in (golden, self))
        changed = [place for place in dict.fromkeys((*was, *now)) if not _same(was, now, place)]
        yield Difference("values", float(len(changed)), 0.0, (_changed(place, was, now) for place in changed))

    def _judged(self, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        return (leaf for leaf in _leaves(content) if leaf[0].rpartition(".")[2] not in self.unjudged)


def _same(was: Mapping[str, Any], now: Mapping[str, Any], place: str) -> bool:
    return place in was and place in now and _equal(was[place], now[place])


def _equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _changed(place: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Statement:
    sentence = f"{plain(place)}: {_text(was, place)} became {_text(now, place)}"
    return Statement(Severity.CONCLUSION, place, sentence)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _text(leaves: Mapping[str, Any], place: str) -> str:
    return json.dumps(leaves[place], ensure_ascii=False) if place in leaves else "nothing"
