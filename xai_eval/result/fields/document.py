"""A small JSON document, such as chosen settings or methods, that other programs may use."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from xai_eval.result.fields.base import Arrays, Difference, Extensible, Severity, Statement, register
from xai_eval.result.naming import plain


@dataclass(frozen=True)
class Alternative:
    """What else rounding could have put at a place of a document.

    Attributes:
        place: names of the entries that lead to it, such as `("images", "3.jpg")`.
        values: other JSON values that could stand there.
        shown_by: names of fields that show what stands there. If the golden has another of the values, these cannot be
            compared.
    """

    place: tuple[str, ...]
    values: tuple[Any, ...]
    shown_by: tuple[str, ...] = ()


@register
@dataclass(frozen=True)
class Document(Extensible):
    """JSON values by name. Any changed value is a changed conclusion, but for entries that are only for reading.

    Attributes:
        content: the values.
        unjudged: names of entries, on any level, that are not compared. What a golden says of it has no effect.
        possible: what else rounding could have put into it, for values that are chosen among nearly equal ones.
    """

    kind: ClassVar[str] = "document"
    part: ClassVar[str] = "entry"
    content: Mapping[str, Any]
    unjudged: tuple[str, ...] = ()
    possible: tuple[Alternative, ...] = ()

    def __post_init__(self) -> None:
        # Converted as JSON would, so that a tuple before saving equals the list that is read back.
        object.__setattr__(self, "content", json.loads(json.dumps(self.content, allow_nan=False)))

    def meta(self) -> dict[str, Any]:
        """The content; the rest only where there is some."""
        possible = [{name: list(value) for name, value in vars(each).items()} for each in self.possible]
        also = {"unjudged": list(self.unjudged), "possible": possible}
        return {"content": dict(self.content), **{name: value for name, value in also.items() if value}}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        possible = (
            Alternative(tuple(map(str, each["place"])), tuple(each["values"]), tuple(map(str, each["shown_by"])))
            for each in meta.get("possible", ())
        )
        return cls(meta["content"], tuple(map(str, meta.get("unjudged", ()))), tuple(possible))

    def condensed(self) -> Document:
        """The document without what else was possible: only the run says that."""
        return Document(self.content, self.unjudged)

    def parts(self) -> tuple[str, ...]:
        """The entries of the top level."""
        return tuple(self.content)

    def without(self, names: Collection[str]) -> Document:
        """The document without the entries `names`."""
        kept = {name: value for name, value in self.content.items() if name not in names}
        return Document(kept, self.unjudged, self.possible)

    def chosen_otherwise(self, golden: Document) -> tuple[Alternative, ...]:
        """Return the alternatives of which the golden has a value that this document has not."""
        return tuple(each for each in self.possible if self._is_otherwise(each, golden))

    def _is_otherwise(self, each: Alternative, golden: Document) -> bool:
        now, was = _at(self.content, each.place), _at(golden.content, each.place)
        return not self._alike(was, now) and any(self._alike(was, other) for other in each.values)

    def choosing_as(self, golden: Document) -> Document:
        """Return the document with what the golden has at each place where that was possible, too."""
        content = json.loads(json.dumps(self.content))
        for each in self.chosen_otherwise(golden):
            above = _at(content, each.place[:-1])
            above[each.place[-1]] = _at(golden.content, each.place)
        return Document(content, self.unjudged, self.possible)

    def _alike(self, one: Any, other: Any) -> bool:
        first, second = (dict(self._judged(json.loads(json.dumps(each)))) for each in (one, other))
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)

    def differences(self, golden: Document) -> Iterator[Difference]:
        """The number of values that differ; there is no signed change."""
        was, now = (dict(self._judged(each.content)) for each in (golden, self.choosing_as(golden)))
        changed = [place for place in dict.fromkeys((*was, *now)) if not _same(was, now, place)]
        yield Difference("values", float(len(changed)), 0.0, (_changed(place, was, now) for place in changed))

    def _judged(self, content: Any) -> Iterator[tuple[str, Any]]:
        return (leaf for leaf in _leaves(content) if leaf[0].rpartition(".")[2] not in self.unjudged)


def _at(content: Any, place: tuple[str, ...]) -> Any:
    """Return what stands at a place of a document; None if nothing does."""
    for name in place:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


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
