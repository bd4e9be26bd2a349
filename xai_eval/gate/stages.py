"""Find where a drift began: the first stage of the chain that changed, and the step that makes this stage."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.stage_table import Step, rules_of
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.naming import plain
from xai_eval.result.result import RAISED_TOLERANCES, USUAL_SEED, Result
from xai_eval.result.stage import Stage, StageKind

_MEASURES = Stage(StageKind.MEASURES)
_COUNTS = (
    "numpy"  # the library that enlarges maps before their pixels are counted, each version rounding in its own way
)


@dataclass(frozen=True)
class Responsible:
    """The step that a drift began at.

    Attributes:
        step: in words, such as 'preprocessing'.
        held: names of the stages that the step starts from and that did not change.
        other: names of those that did change, such as the bytes of an image that was compressed again.
        unknown: names of those that are not recorded.
        given: a sentence that stands instead of these names where the step starts from no stage.
    """

    step: str
    held: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    given: str = ""

    def __str__(self) -> str:
        return f"{self._before} Responsible step: {self.step}."

    @property
    def _before(self) -> str:
        if not self.other and not self.held:
            return self.given or "Nothing before it is recorded."
        parts = (
            f"Changed before it, too: {_listed(self.other)}." if self.other else "",
            f"Unchanged before it: {_listed(self.held)}." if self.held else "",
            f"Not recorded: {_listed(self.unknown)}." if self.unknown else "",
        )
        return " ".join(filter(None, parts))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(plain, names))


def responsible(stage: Stage, before: Mapping[Stage, bool]) -> Responsible:
    """Return the step that makes a stage which changed.

    Args:
        stage: the stage.
        before: for every earlier stage that both results have, whether it is the same in both.
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
    """The first stage of the chain that changed.

    Attributes:
        stage: which one.
        change: relative change |obtained - golden| / |golden|; infinite for stages that can only be equal or not.
        responsible: the step that makes the stage, and what is known of earlier stages; None if it was not looked for.
    """

    stage: Stage
    change: float
    responsible: Responsible | None = None

    def __str__(self) -> str:
        return f"{plain(str(self.stage))}{self._amount}"

    @property
    def sentence(self) -> str:
        """Where the change begins, such as 'The change begins at the input tensor (relative change 0.031).'."""
        found = "No recorded stage changed." if self.stage == _MEASURES else f"The change begins at the {self}."
        if self.responsible is None:
            return found
        step = f"Responsible step: {self.responsible.step}." if self.stage == _MEASURES else str(self.responsible)
        return f"{found} {step}"

    @property
    def _amount(self) -> str:
        return f" (relative change {self.change:.2g})" if math.isfinite(self.change) else ""


def first_moved_stage(obtained: Result, golden: Result, expected: frozenset[Stage] = frozenset()) -> StageShift | None:
    """Return the first stage, in the order of the result, that changed by more than rounding changes it.

    A stage that was not expected to move comes before all that were.
    """
    moved = [shift for shift in moved_stages(obtained, golden) if shift.stage.kind != StageKind.IMAGE_BYTES]
    accident = next((shift for shift in moved if shift.stage not in expected), None)
    return _explained(accident or next(iter(moved), None), obtained, golden)


def moved_input(obtained: Result, golden: Result) -> StageShift | None:
    """Return the first stage that changed, including the bytes of the image: for cases that cannot be compared."""
    return _explained(next(moved_stages(obtained, golden), None), obtained, golden)


def stage_findings(obtained: Result, golden: Result, expected: frozenset[Stage] = frozenset()) -> tuple[Finding, ...]:
    """Report the first stage that changed by more than anything harmless changes it, unless it was expected to move.

    If an earlier stage changed (say, the input tensor), the case counts as drift even when every field is still within
    its tolerance, because on other images the same change may well be visible in the explanation. Where the user raised
    the tolerance of a field, its own stages (such as its raw map) are judged by this tolerance alone, as on a GPU.
    """
    raised = obtained.provenance.parameters.get(RAISED_TOLERANCES, {})
    on_cpu, reseeded = _on_cpu(obtained), _reseeded(obtained, golden)
    for shift in moved_stages(obtained, golden):
        if shift.stage in expected:
            continue
        own = shift.stage.of in raised or shift.stage.kind in raised
        most = rules_of(shift.stage).alarm(on_cpu=on_cpu and not own, reseeded=reseeded)
        most = 0.0 if on_cpu and not own and _held_exactly(shift.stage, obtained, golden) else most
        if shift.change > most:
            amount = f" by a relative change of {shift.change:.2g}" if math.isfinite(shift.change) else ""
            sentence = (
                f"the {plain(str(shift.stage))} changed{amount} (at most {most:g} is allowed), although every field is "
                "within its tolerance"
            )
            return (Finding("stages", Severity.NUMBERS, str(shift.stage), sentence, _finite(shift.change), most),)
    return ()


def origin_of(
    obtained: Result, golden: Result, *, drifted: bool, expected: frozenset[Stage] = frozenset()
) -> StageShift | None:
    """Return where a drift began: at a stage that was not expected to move, if there is one.

    If no recorded stage changed although fields did, the step after the last recorded stage is responsible.
    """
    moved = first_moved_stage(obtained, golden, expected)
    if moved is None and drifted and golden.stages:
        return StageShift(_MEASURES, math.inf, responsible(_MEASURES, {}))
    return moved


def _explained(shift: StageShift | None, obtained: Result, golden: Result) -> StageShift | None:
    """Add the step that is responsible for a shift."""
    if shift is None:
        return None
    before = itertools.takewhile(lambda stage: stage != shift.stage, _in_order(obtained, golden))
    moved = {other.stage for other in itertools.takewhile(lambda each: each != shift, moved_stages(obtained, golden))}
    same = {stage: stage not in moved for stage in before if stage in obtained.stages}
    return dataclasses.replace(shift, responsible=responsible(shift.stage, same))


def moved_stages(obtained: Result, golden: Result) -> Iterator[StageShift]:
    """Yield all stages that changed by more than their limits."""
    on_cpu = _on_cpu(obtained)
    for stage in _in_order(obtained, golden):
        other = obtained.stages.get(stage)
        change = math.inf if other is None else other.distance(golden.stages[stage])
        limit = 0.0 if on_cpu and _held_exactly(stage, obtained, golden) else rules_of(stage).limit(on_cpu=on_cpu)
        if change > limit:
            yield StageShift(stage, change)


def _held_exactly(stage: Stage, obtained: Result, golden: Result) -> bool:
    """Whether a stage of whole numbers must be the same to the last bit: the same numpy makes it of equal stages."""
    rules, versions = rules_of(stage), (obtained.provenance.versions, golden.provenance.versions)
    if not rules.counted or len({each.get(_COUNTS) for each in versions}) > 1:
        return False
    both = [each for each in golden.stages if each in obtained.stages]
    parts = [each.among(both, stage) for each in rules.steps[0].after]
    return all(parts) and all(
        obtained.stages[each].digest == golden.stages[each].digest for part in parts for each in part
    )


def _in_order(obtained: Result, golden: Result) -> list[Stage]:
    """Return the stages of the golden in the order in which the result computed them; what it no longer has, last."""
    lost = [stage for stage in golden.stages if stage not in obtained.stages]
    return [*(stage for stage in obtained.stages if stage in golden.stages), *lost]


def _on_cpu(obtained: Result) -> bool:
    """Whether the limits of a CPU hold. The device of the run decides: a golden that claims another widens nothing."""
    return obtained.provenance.device == "cpu"


def _reseeded(obtained: Result, golden: Result) -> bool:
    """Whether the run was asked for another seed than its golden has. What a golden alone claims excuses nothing."""
    return obtained.provenance.seed not in (golden.provenance.seed, USUAL_SEED)


def _finite(change: float) -> float | None:
    return change if math.isfinite(change) else None
