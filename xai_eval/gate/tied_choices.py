"""Tells when rounding made a choice among nearly equal things otherwise: what was chosen then cannot be compared. Pure.

The run says what else could have been chosen; what a golden says of it has no effect. How good each of the things is,
and what they are made from, is compared all the same.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from xai_eval.result.fields import Document
from xai_eval.result.naming import title
from xai_eval.result.result import Result


@dataclass(frozen=True)
class Comparable:
    """A result and its golden without what shows a choice that was made otherwise.

    Attributes:
        obtained: the result.
        golden: its golden.
        sentence: what was chosen otherwise, with a space before it; empty if nothing was.
    """

    obtained: Result
    golden: Result
    sentence: str = ""


def without_tied_choices(obtained: Result, golden: Result) -> Comparable:
    """Leave out fields and stages that show a choice which the golden made otherwise, if both were possible."""
    pairs = ((name, now, golden.fields.get(name)) for name, now in obtained.of_kind(Document).items())
    otherwise = {name: now.chosen_otherwise(was) for name, now, was in pairs if isinstance(was, Document)}
    chosen = [name for name, each in otherwise.items() if each]
    if not chosen:
        return Comparable(obtained, golden)
    shown = {field for every in otherwise.values() for each in every for field in each.shown_by}
    compared = f" So {', '.join(map(title, sorted(shown)))} cannot be compared." if shown else ""
    sentence = f" Tied within rounding, and chosen otherwise now: {', '.join(map(title, chosen))}.{compared}"
    return Comparable(_without(obtained, shown), _without(golden, shown), sentence)


def _without(result: Result, shown: set[str]) -> Result:
    fields = {name: each for name, each in result.fields.items() if name not in shown}
    stages = {stage: each for stage, each in result.stages.items() if stage.of not in shown}
    return dataclasses.replace(result, fields=fields, stages=stages)
