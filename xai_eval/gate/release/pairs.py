"""What the release question needs of one image: small, so that it can be kept for every case of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from xai_eval.gate.release.measures import MEASURES, RIGHT_CLASS
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.fields import Label, Severity, Table
from xai_eval.result.fields.table import Column
from xai_eval.result.result import Result

# The labels that say which class the model sees, and which one the maps explain.
_CLASSES = ("predicted", "explained")
_PREDICTED, _INTENDED = "predicted", "intended"


@dataclass(frozen=True)
class Value:
    """A measure of one image before and after the upgrade; of a yes or no 0 or 1. `of` is the method, or empty."""

    measure: str
    of: str
    before: float
    after: float


@dataclass(frozen=True)
class Pair:
    """One image explained before and after.

    Attributes:
        task: the task.
        model: spec of the model after the upgrade.
        input: the image.
        moved: whether anything of the explanation, or of its stages, is beyond its limit.
        same_class: whether the model predicts, and the maps explain, the same class.
        same_evidence: whether the maps point to the same places, and the class is the same.
        values: the measures that both have. A map that means nothing has the worst value there is.
    """

    task: str
    model: str
    input: str
    moved: bool
    same_class: bool
    same_evidence: bool
    values: tuple[Value, ...]


def pair_of(verdict: Verdict, obtained: Result, golden: Result) -> Pair | None:
    """Return what the release question needs of a case; None if the two were not compared."""
    if verdict.state not in (State.OK, State.DRIFT):
        return None
    severe = [each for each in verdict.findings if each.severity >= Severity.EVIDENCE]
    classes = [name for name in _CLASSES if isinstance(golden.fields.get(name), Label)]
    # A task without such labels, such as a dissection, concludes otherwise.
    decided = [each for each in severe if (each.field in classes if classes else each.severity is Severity.CONCLUSION)]
    return Pair(
        obtained.case.task,
        obtained.case.model,
        obtained.case.input,
        moved=verdict.state is State.DRIFT,
        same_class=not decided,
        same_evidence=not severe,
        values=(*_right_class(obtained, golden), *_measured(obtained, golden)),
    )


def _right_class(obtained: Result, golden: Result) -> Iterator[Value]:
    before, after = _is_right(golden), _is_right(obtained)
    if before is not None and after is not None and (_has_intended(golden) or _has_intended(obtained)):
        yield Value(RIGHT_CLASS, "", float(before), float(after))


def _is_right(result: Result) -> bool | None:
    """Whether the predicted class is the intended one; None if none is intended. Names of models may differ in case."""
    predicted, intended = (result.fields.get(name) for name in (_PREDICTED, _INTENDED))
    if not (isinstance(predicted, Label) and isinstance(intended, Label)) or intended.text is None:
        return None
    return intended.index is not None and predicted.index == intended.index


def _has_intended(result: Result) -> bool:
    """Whether the intended class is one of the model's: what neither model can predict, no upgrade gains or loses."""
    intended = result.fields.get(_INTENDED)
    return isinstance(intended, Label) and intended.index is not None


def _measured(obtained: Result, golden: Result) -> Iterator[Value]:
    for name, was in golden.fields.items():
        now = obtained.fields.get(name)
        if isinstance(was, Table) and isinstance(now, Table):
            yield from _of_table(now, was)


def _of_table(now: Table, was: Table) -> Iterator[Value]:
    after = {column.name: _cells(now, column) for column in now.columns if column.name in MEASURES}
    for column in was.columns:
        for row, before in _cells(was, column).items() if column.name in after else ():
            value = after[column.name].get(row, math.nan)
            if math.isfinite(before) or math.isfinite(value):
                yield Value(column.name, row, _known(column.name, before), _known(column.name, value))


def _known(name: str, value: float) -> float:
    """Return a value, or the worst there is for a map that means nothing: leaving it out would hide the loss."""
    if math.isfinite(value):
        return value
    return 0.0 if MEASURES[name].sign > 0 else 1.0


def _cells(table: Table, column: Column) -> dict[str, float]:
    keys = table.columns[0].values
    return {str(key): float(cell) for key, cell in zip(keys, column.values, strict=True)}
