"""Reads the golden of a whole set with the names that classes have now, by what the images of the set say. Pure.

The result of a whole set does not name the classes itself, but tables of it hold sentences about each image, and some
of these say whether the model sees the class that the image is meant to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xai_eval.gate.renamed_classes import RenamedClass, renamed_classes, with_new_names
from xai_eval.result.fields import Field, Label, Table
from xai_eval.result.fields.table import Column
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

_TARGET = Stage(StageKind.TARGET)
# The result of one image of a set, and the golden that it is compared with.
Member = tuple[Result, Result]


def set_with_new_names(
    obtained: Result, golden: Result, members: Sequence[Member]
) -> tuple[Result, tuple[RenamedClass, ...]]:
    """Return the golden of a whole set with new names of classes, and the classes that were renamed in its images.

    Args:
        obtained: the result of the whole set.
        golden: its golden.
        members: the results of its images with their goldens.
    """
    found = [(now, was, renamed_classes(now, was)) for now, was in members]
    renamed = tuple(dict.fromkeys(each for *_, classes in found for each in classes))
    if not renamed:
        return golden, ()
    read = [(was, with_new_names(was, classes, now)) for now, was, classes in found]
    texts = {_name(was): dict(_other_texts(was, new)) for was, new in read}
    fields = {name: _field(field, texts) for name, field in golden.fields.items()}
    pairs = zip(found, read, strict=True)
    same = all(now.stage_digest(_TARGET) == new.stage_digest(_TARGET) for (now, *_), (_, new) in pairs)
    targets = {_TARGET: obtained.stages[_TARGET]} if same and {_TARGET} <= obtained.stages.keys() else {}
    stages = {stage: targets.get(stage, each) for stage, each in golden.stages.items()}
    return Result(golden.case, fields, stages, golden.provenance), renamed


def _name(member: Result) -> str:
    return member.case.input.split("/", 1)[-1]


def _other_texts(was: Result, new: Result) -> Iterator[tuple[str, tuple[str | None, str | None]]]:
    """Yield the texts of the golden of an image that read otherwise with the new names: before and now, by field."""
    labels = new.of_kind(Label)
    for name, label in was.of_kind(Label).items():
        if name in labels and labels[name].text != label.text:
            yield name, (label.text, labels[name].text)


def _field(field: Field, texts: Mapping[str, Mapping[str, tuple[str | None, str | None]]]) -> Field:
    """Return a table with one row per image in which the sentences about images are those of the new names."""
    if type(field) is not Table:
        return field
    keys, *rest = field.columns
    columns = [Column(each.name, each.type, tuple(_cells(keys, each, texts))) for each in rest]
    return Table.of_columns((keys, *columns), field.tolerance, field.unjudged)


def _cells(
    keys: Column, column: Column, texts: Mapping[str, Mapping[str, tuple[str | None, str | None]]]
) -> Iterator[object]:
    for key, cell in zip(keys.values, column.values, strict=True):
        before, now = texts.get(key, {}).get(column.name, (cell, cell))
        yield now if cell == before else cell
