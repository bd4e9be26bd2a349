"""Where a drift began: the first stage of the chain that moved, and which step made it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xai_eval.gate.stage_table import Step, rules_of
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

_MEASURES = Stage(StageKind.MEASURES)


@dataclass(frozen=True)
class Responsible:
    """The step that a drift began at.

    Attributes:
        step: in words, such as 'preprocessing'.
        held: the stages that it begins with and that are the same.
        other: those that are not, such as the bytes of an image that was compressed anew.
        unknown: those that nothing is recorded of.
        given: what it begins with instead, in words.
    """

    step: str
    held: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    given: str = ""

    def __str__(self) -> str:
        known = [*(f"other {name}" for name in self.other), *(f"same {name}" for name in self.held)]
        if not known:
            return f"{self.given or 'nothing that it begins with is recorded'}: {self.step}"
        return f"{', '.join([*known, *(f'{name} not recorded' for name in self.unknown)])}: {self.step}"


def responsible(stage: Stage, before: Mapping[Stage, bool]) -> Responsible:
    """Return the step that made a stage which moved.

    Args:
        stage: the stage.
        before: for every stage in front of it that both results have, whether it is the same.
    """
    found = [_judged(step, stage, before) for step in rules_of(stage).steps]
    return next((each for each in found if not each.unknown), found[-1])


def _judged(step: Step, stage: Stage, before: Mapping[Stage, bool]) -> Responsible:
    same = {each.named(stage): [before[known] for known in each.among(before, stage)] for each in step.after}
    return Responsible(
        step.words,
        held=tuple(name for name, held in same.items() if held and all(held)),
        other=tuple(name for name, held in same.items() if not all(held)),
        unknown=tuple(name for name, held in same.items() if not held),
        given=step.given,
    )


@dataclass(frozen=True)
class StageShift:
    """The first stage of the chain that moved.

    Attributes:
        stage: which one.
        change: relative, infinite where only equality can be told.
        responsible: the step that made it, and which stages in front of it held; None where it is not known.
    """

    stage: Stage
    change: float
    responsible: Responsible | None = None

    def __str__(self) -> str:
        return f"{self.stage}{self._amount}"

    @property
    def sentence(self) -> str:
        """Such as 'The input tensor moved first (relative 0.031)'."""
        return f"The {self.stage} moved first{self._amount}"

    @property
    def _amount(self) -> str:
        return f" (relative {self.change:.2g})" if math.isfinite(self.change) else ""


def first_moved_stage(obtained: Result, golden: Result) -> StageShift | None:
    """Return the first stage, in the golden's order, that moved by more than rounding moves it."""
    moved = (shift for shift in _moved(obtained, golden) if shift.stage.kind != StageKind.IMAGE_BYTES)
    return _explained(next(moved, None), obtained, golden)


def moved_input(obtained: Result, golden: Result) -> StageShift | None:
    """Return the first stage that moved, the bytes of the image among them: for cases that cannot be compared."""
    return _explained(next(_moved(obtained, golden), None), obtained, golden)


def stage_findings(obtained: Result, golden: Result) -> tuple[Finding, ...]:
    """Report the first stage that moved by more than anything harmless moves it.

    Fields have tolerances for what a reader would not notice. A stage in front of them that moved is a change of what
    is measured, and on other images it may well show.
    """
    on_cpu, reseeded = _on_cpu(obtained, golden), obtained.provenance.seed != golden.provenance.seed
    for shift in _moved(obtained, golden):
        most = rules_of(shift.stage).alarm(on_cpu=on_cpu, reseeded=reseeded)
        if shift.change > most:
            sentence = f"{shift} moved (limit {most:g}), while every field is within its tolerance"
            return (Finding("stages", Severity.NUMBERS, str(shift.stage), sentence, _finite(shift.change), most),)
    return ()


def origin_of(obtained: Result, golden: Result, *, drifted: bool) -> StageShift | None:
    """Return where a drift began.

    If every recorded stage held and fields moved all the same, what is measured from the last stage is computed in
    another way.
    """
    moved = first_moved_stage(obtained, golden)
    if moved is None and drifted and golden.stages:
        return StageShift(_MEASURES, math.inf, responsible(_MEASURES, {}))
    return moved


def _explained(shift: StageShift | None, obtained: Result, golden: Result) -> StageShift | None:
    """Name the step that is responsible for a shift."""
    if shift is None:
        return None
    before = itertools.takewhile(lambda stage: stage != shift.stage, golden.stages)
    moved = {other.stage for other in itertools.takewhile(lambda each: each != shift, _moved(obtained, golden))}
    same = {stage: stage not in moved for stage in before if stage in obtained.stages}
    return dataclasses.replace(shift, responsible=responsible(shift.stage, same))


def _moved(obtained: Result, golden: Result) -> Iterator[StageShift]:
    """All stages that moved."""
    on_cpu = _on_cpu(obtained, golden)
    for stage, fingerprint in golden.stages.items():
        other = obtained.stages.get(stage)
        change = math.inf if other is None else other.distance(fingerprint)
        if change > rules_of(stage).limit(on_cpu=on_cpu):
            yield StageShift(stage, change)


def _on_cpu(obtained: Result, golden: Result) -> bool:
    return obtained.provenance.device == golden.provenance.device == "cpu"


def _finite(change: float) -> float | None:
    return change if math.isfinite(change) else None
