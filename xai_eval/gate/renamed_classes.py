"""Recognises a class that is only called otherwise: the same index, the same logits, and another name. Pure.

What people read of such a case differs, and nothing else. So the golden is read with the new names. A list of classes
that was shifted or shuffled looks alike, but it gives a name to another index, or new names to most classes.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xai_eval.gate.stages import movements
from xai_eval.result.class_list import CLASS_LIST, listed_alike
from xai_eval.result.fields import Field, Label, Ranking, Table, Weights
from xai_eval.result.fields.table import Column
from xai_eval.result.fingerprint import Fingerprint, fingerprint_text
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

# How `str(Label)` writes the name of a class together with its index.
_NAMED = re.compile(r"(.*) \((\d+)\)", re.DOTALL)
_INTENDED, _AUDIT = "intended", "audit"
# It only tells that the audit has something to say.
_FOLLOWS = ("insight",)


@dataclass(frozen=True)
class RenamedClass:
    """A class that has another name since the golden was accepted."""

    index: int
    before: str
    now: str

    @property
    def full_before(self) -> str:
        """Its name as fields and stages have it: together with its index."""
        return str(Label(self.before, self.index))

    @property
    def full_now(self) -> str:
        """The same for its new name."""
        return str(Label(self.now, self.index))


def renamed_classes(obtained: Result, golden: Result) -> tuple[RenamedClass, ...]:
    """Return the classes that were only renamed; none if the logits moved beyond their limit, or are not recorded.

    If both results record the list of classes, it must say so, too: else another class is told, not another name.
    """
    now, was = _names(obtained), _names(golden)
    both = now.keys() & was.keys()
    found = tuple(RenamedClass(index, was[index], now[index]) for index in sorted(both) if now[index] != was[index])
    moved_on = any(each.now in was.values() or each.before in now.values() for each in found)
    most = 2 * len(found) > len(both)
    other_class = any(_listed_alike(obtained, golden, each.index) for each in found)
    if not found or moved_on or most or other_class:
        return ()
    return found if _same_logits(obtained, golden) else ()


def _listed_alike(obtained: Result, golden: Result, index: int) -> bool:
    now, was = (each.provenance.parameters.get(CLASS_LIST) for each in (obtained, golden))
    return now is not None and was is not None and listed_alike(now, was, index)


def _same_logits(obtained: Result, golden: Result) -> bool:
    moved = [each for stage, each in movements(obtained, golden).items() if stage.kind == StageKind.LOGITS]
    return bool(moved) and not any(each.beyond_limit for each in moved)


def with_new_names(golden: Result, renamed: tuple[RenamedClass, ...], obtained: Result) -> Result:
    """Return a golden with the names that its classes have now; `obtained` is the result that it is compared with."""
    if not renamed:
        return golden
    texts = {each.full_before: each.full_now for each in renamed}
    fields = {name: _renamed(field, renamed, texts) for name, field in golden.fields.items()}
    stages = {stage: _of_target(stage, each, texts) for stage, each in golden.stages.items()}
    return Result(golden.case, {**fields, **_no_class_any_more(golden, renamed, obtained)}, stages, golden.provenance)


def _names(result: Result) -> dict[int, str]:
    """Return the names of all classes that the fields of a result name together with their indices."""
    labels = {each.index: each.text for each in result.of_kind(Label).values() if each.index is not None and each.text}
    every: list[Ranking | Weights] = [*result.of_kind(Ranking).values(), *result.of_kind(Weights).values()]
    listed = (name for each in every for name in each.names)
    found = (_NAMED.fullmatch(name) for name in listed)
    return {**{int(each[2]): each[1] for each in found if each}, **labels}


def _renamed(field: Field, renamed: tuple[RenamedClass, ...], texts: Mapping[str, str]) -> Field:
    if isinstance(field, Label):
        return _label(field, renamed)
    if isinstance(field, Ranking | Weights):
        return dataclasses.replace(field, names=tuple(texts.get(name, name) for name in field.names))
    if isinstance(field, Table):
        columns = tuple(
            Column(each.name, each.type, tuple(_cell(value, texts) for value in each.values)) for each in field.columns
        )
        return type(field).of_columns(columns, field.tolerance, field.unjudged)
    return field


def _label(label: Label, renamed: tuple[RenamedClass, ...]) -> Label:
    for each in renamed:
        if label.index == each.index and label.text == each.before:
            return Label(each.now, each.index)
        if label.index is None and label.text is not None:  # a sentence, such as that of the audit
            label = Label(label.text.replace(f'"{each.before}"', f'"{each.now}"'))
    return label


def _cell(value: Any, texts: Mapping[str, str]) -> Any:
    return texts.get(value, value) if isinstance(value, str) else value


def _of_target(stage: Stage, was: Fingerprint, texts: Mapping[str, str]) -> Fingerprint:
    now = {fingerprint_text(before).digest: fingerprint_text(after) for before, after in texts.items()}
    return now.get(was.digest, was) if stage.kind == StageKind.TARGET else was


def _no_class_any_more(golden: Result, renamed: tuple[RenamedClass, ...], obtained: Result) -> Mapping[str, Field]:
    """Return the labels that differ because an image is meant to show a class by the name that it had."""
    was, now = golden.fields.get(_INTENDED), obtained.fields.get(_INTENDED)
    if not any(was == Label(each.before, each.index) and now == Label(each.before) for each in renamed):
        return {}
    return dict(_as_obtained(golden, obtained))


def _as_obtained(golden: Result, obtained: Result) -> Iterator[tuple[str, Field]]:
    for name in (_INTENDED, _AUDIT, *_FOLLOWS):
        if name in golden.fields and name in obtained.fields:
            yield name, obtained.fields[name]
