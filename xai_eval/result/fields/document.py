"""A small JSON document, such as chosen settings or methods, that other programs may use."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from xai_eval.disk.typed import entry
from xai_eval.result.fields.base import Arrays, Difference, Extensible, Severity, Statement, register
from xai_eval.result.naming import plain

_LONGEST = 100  # characters of a value in a sentence


@dataclass(frozen=True)
class Choice:
    """Entries of a document that are chosen together among nearly equal things, and what rounding could have chosen.

    Attributes:
        place: names of the entries that lead to those that are chosen; empty on the top level.
        possible: all that could have been chosen, each as JSON values by name, such as a setting and how many are tied
            with it. If what the document holds is not among them, nothing of it is excused.
        shown_by: names of fields that show what was chosen. If the golden chose otherwise, these cannot be compared.
    """

    place: tuple[str, ...]
    possible: tuple[Mapping[str, Any], ...]
    shown_by: tuple[str, ...] = ()


@register
@dataclass(frozen=True)
class Document(Extensible):
    """JSON values by name. Any changed value is a changed conclusion, but for entries that are only for reading.

    Attributes:
        content: the values.
        unjudged: names of entries, on any level, that are not compared. What a golden says of it has no effect.
        choices: values that are chosen among nearly equal ones, and what rounding could have chosen.
        facts: by the name of an entry of the top level, what is compared in place of its value, which then is a text
            for reading that any release may word otherwise. It counts only if the golden has such facts, too.
    """

    kind: ClassVar[str] = "document"
    part: ClassVar[str] = "entry"
    content: Mapping[str, Any]
    unjudged: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Converted as JSON would, so that a tuple before saving equals the list that is read back.
        object.__setattr__(self, "content", json.loads(json.dumps(self.content, allow_nan=False)))
        object.__setattr__(self, "facts", json.loads(json.dumps(self.facts, allow_nan=False)))

    def meta(self) -> dict[str, Any]:
        """The content; the rest only where there is some."""
        choices = [{name: list(value) for name, value in vars(each).items()} for each in self.choices]
        also = {"unjudged": list(self.unjudged), "choices": choices, "facts": dict(self.facts)}
        return {"content": dict(self.content), **{name: value for name, value in also.items() if value}}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(
            entry(meta, "content", Mapping[str, Any]),
            entry(meta, "unjudged", tuple[str, ...], ()),
            entry(meta, "choices", tuple[Choice, ...], ()),
            entry(meta, "facts", Mapping[str, Any], {}),
        )

    def condensed(self) -> Document:
        """The document without what else was possible: only the run says that."""
        return Document(self.content, self.unjudged, facts=self.facts)

    def parts(self) -> tuple[str, ...]:
        """The entries of the top level."""
        return tuple(self.content)

    def without(self, names: Collection[str]) -> Document:
        """The document without the entries `names`."""
        kept = {name: value for name, value in self.content.items() if name not in names}
        return Document(kept, self.unjudged, self.choices, self.facts)

    def chosen_otherwise(self, golden: Document) -> tuple[Choice, ...]:
        """Return the choices that the golden made otherwise, where both were possible."""
        return tuple(each for each in self.choices if self._is_otherwise(each, golden))

    def _is_otherwise(self, choice: Choice, golden: Document) -> bool:
        now, was = _chosen(self.content, choice), _chosen(golden.content, choice)
        possible = all(any(self._alike(each, other) for other in choice.possible) for each in (now, was))
        return possible and not self._alike(now, was)

    def choosing_as(self, golden: Document) -> Document:
        """Return the document with what the golden chose, wherever that was possible, too."""
        content = json.loads(json.dumps(self.content))
        for each in self.chosen_otherwise(golden):
            _at(content, each.place).update(_chosen(golden.content, each))
        return Document(content, self.unjudged, self.choices, self.facts)

    def _alike(self, one: Any, other: Any) -> bool:
        first, second = (dict(self._judged(json.loads(json.dumps(each)))) for each in (one, other))
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)

    def differences(self, golden: Document) -> Iterator[Difference]:
        """The number of values that differ; there is no signed change."""
        both = self.facts.keys() & golden.facts.keys()
        was, now = (dict(self._judged(_with_facts(each, both))) for each in (golden, self.choosing_as(golden)))
        changed = [place for place in dict.fromkeys((*was, *now)) if not _same(was, now, place)]
        yield Difference("values", float(len(changed)), 0.0, (_changed(place, was, now) for place in changed))

    def _judged(self, content: Any) -> Iterator[tuple[str, Any]]:
        return (leaf for leaf in _leaves(content) if leaf[0].rpartition(".")[2] not in self.unjudged)


def _with_facts(document: Document, names: Collection[str]) -> dict[str, Any]:
    """Return the content of a document with its facts in place of the texts of some entries."""
    texts = {name: value for name, value in document.content.items() if name not in names}
    return {**texts, **{name: document.facts[name] for name in sorted(names)}}


def _at(content: Any, place: tuple[str, ...]) -> Any:
    """Return what stands at a place of a document; None if nothing does."""
    for name in place:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _chosen(content: Any, choice: Choice) -> dict[str, Any]:
    """Return the entries of a document that a choice is about; only those that it has."""
    above = _at(content, choice.place)
    names = {name for each in choice.possible for name in each}
    return {name: above[name] for name in names if name in above} if isinstance(above, Mapping) else {}


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
    before, after = _text(was, place), _text(now, place)
    if _cut(before) != _cut(after):  # where only the ends differ, they must be seen
        before, after = _cut(before), _cut(after)
    sentence = f"{plain(place)}: {before} became {after}"
    return Statement(Severity.CONCLUSION, place, sentence)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _text(leaves: Mapping[str, Any], place: str) -> str:
    return json.dumps(leaves[place], ensure_ascii=False) if place in leaves else "nothing"


def _cut(text: str) -> str:
    """Keep a sentence readable; the page lists the whole values."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
