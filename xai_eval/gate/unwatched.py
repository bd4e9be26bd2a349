"""Parts of a result that its golden lacks. They are not compared and are no drift, but are reported as unwatched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from xai_eval.result.fields import Extensible, Field, Table
from xai_eval.result.fields.table_order import in_order_of, other_order
from xai_eval.result.naming import title
from xai_eval.result.result import Result

_ROW = "row"


@dataclass(frozen=True, order=True)
class Unwatched:
    """One part that the golden lacks.

    Attributes:
        part: `field`, `stage`, or the word of a kind of field for its parts: `column`, `row`, `line`, `entry`.
        name: name of the part.
        field: name of the field that the part belongs to; empty for fields and stages.
    """

    part: str
    name: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.part} {self.name}{f' of {self.field}' if self.field else ''}"


def unwatched_parts(obtained: Result, golden: Result) -> tuple[Unwatched, ...]:
    """Name everything that `obtained` has and `golden` lacks, in the order of the result: fields, then stages."""
    return (*_fields(obtained, golden), *_stages(obtained, golden))


def emptied(obtained: Result, golden: Result) -> str:
    """Say which whole part of a result its golden holds nothing of; empty if there is none.

    A golden of an earlier version lacks a field, a column or a stage. One that lacks all of them describes nothing, so
    that every change would pass.
    """
    if not golden.fields and any(each.condensed() is not None for each in obtained.fields.values()):
        return "no field"
    if obtained.stages and not golden.stages:
        return "no stage"
    for name, now in obtained.fields.items():
        was = golden.fields.get(name)
        if not (isinstance(now, Extensible) and was is not None and was.kind == now.kind):
            continue
        if now.parts() and not now.description(was).parts():
            return f"no {now.part} of {name}"
    return ""


def watched(now: Field, was: Field) -> Field:
    """Return the field as it is compared: without the parts that its golden, of the same kind, lacks, in its order."""
    if not isinstance(now, Extensible):
        return now
    now = _ordered(now, was)
    parts, rows = _added_parts(now, was), _added_rows(now, was)
    if rows and isinstance(now, Table):
        now = now.without_rows(rows)
    return now.without(parts) if parts else now


def watched_pairs(obtained: Result, golden: Result) -> Iterator[tuple[str, Field, Any]]:
    """Yield name, obtained field and golden field for every name that both results have with the same kind."""
    for name, now in obtained.fields.items():
        was = golden.fields.get(name)
        if was is not None and was.kind == now.kind:
            yield name, watched(now, was), was


def in_other_order(obtained: Result, golden: Result) -> str:
    """Say which tables have their columns or rows in another order than the golden, with a space before it."""
    told = [
        f"the {' and '.join(parts)} of {title(name)}"
        for name, now in obtained.fields.items()
        if isinstance(now, Table) and isinstance(was := golden.fields.get(name), Table) and was.kind == now.kind
        for parts in [other_order(now, was)]
        if parts
    ]
    return f" In another order than in the golden, and compared by name: {', '.join(told)}." if told else ""


def counted(parts: Iterable[Unwatched]) -> list[tuple[Unwatched, int]]:
    """Count equal parts of several cases, the most frequent first."""
    return sorted(Counter(parts).items(), key=lambda each: (-each[1], each[0]))


def _fields(obtained: Result, golden: Result) -> Iterator[Unwatched]:
    for name, now in obtained.fields.items():
        was = golden.fields.get(name)
        if was is not None:
            yield from (Unwatched(each.part, each.name, name) for each in _added(now, was))
        elif now.condensed() is not None:  # a golden keeps no field that is only for display
            yield Unwatched("field", name)


def _stages(obtained: Result, golden: Result) -> Iterator[Unwatched]:
    return (Unwatched("stage", str(stage)) for stage in obtained.stages if stage not in golden.stages)


def _added(now: Field, was: Field) -> list[Unwatched]:
    if not isinstance(now, Extensible):
        return []
    now = _ordered(now, was)
    return [
        *(Unwatched(now.part, name) for name in _added_parts(now, was)),
        *(Unwatched(_ROW, name) for name in _added_rows(now, was)),
    ]


def _ordered(now: Extensible, was: Field) -> Extensible:
    return in_order_of(now, was) if isinstance(now, Table) and isinstance(was, Table) and was.kind == now.kind else now


def _added_parts(now: Extensible, was: Field) -> list[str]:
    if not (isinstance(was, Extensible) and was.kind == now.kind):
        return []
    known = set(now.description(was).parts())
    return [name for name in now.parts() if name not in known]


def _added_rows(now: Field, was: Field) -> tuple[str, ...]:
    return now.added_rows(was) if isinstance(now, Table) and isinstance(was, Table) and was.kind == now.kind else ()
