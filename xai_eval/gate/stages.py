"""Find where a drift began: the first stage of the chain that changed, and the step that makes this stage."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.equal_stages import EqualStages, equal_stages
from xai_eval.gate.movement import EQUAL, USUAL_SHARE, Movement, noise_of, share
from xai_eval.gate.spelling import counterpart
from xai_eval.gate.stage_table import ON_CPU, Step, rules_of
from xai_eval.gate.stage_words import stage_words
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.naming import plain
from xai_eval.result.precisions import AUTOCAST, coarseness, in_half, same_precision
from xai_eval.result.result import RAISED_TOLERANCES, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.noise import Noise

_MEASURES, _TARGET = Stage(StageKind.MEASURES), Stage(StageKind.TARGET)
# By their significant bits, the types to which numbers are rounded.
_HALVES = {8: "bfloat16", 11: "float16"}
# Fields that are made with the explained class, which alone has a stage.
_OF_TARGET = frozenset({"classes", "explained", "intended", "predicted"})


@dataclass(frozen=True)
class Responsible:
    """The step that a drift began at.

    Attributes:
        step: in words, such as 'preprocessing'.
        held: names of the stages that the step starts from and that are the same in every bit.
        slight: such stages that moved below their limits, each with how far, in words.
        other: names of those that moved beyond their limits, such as the bytes of an image that was compressed again.
        unknown: names of those that are not recorded.
        given: a sentence that stands instead of these names where the step starts from no stage.
    """

    step: str
    held: tuple[str, ...] = ()
    slight: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    given: str = ""

    def __str__(self) -> str:
        return f"{self._before} Responsible step: {self.step}."

    @property
    def _before(self) -> str:
        if not self.other and not self.slight and not self.held:
            return self.given or "Nothing before it is recorded."
        parts = (
            f"Changed before it, too: {_listed(self.other)}." if self.other else "",
            f"Before it, {_listed(self.slight, '; ')}." if self.slight else "",
            f"Unchanged before it: {_listed(self.held)}." if self.held else "",
            f"Not recorded: {_listed(self.unknown)}." if self.unknown else "",
        )
        return " ".join(filter(None, parts))


_OF_MEASURES = Responsible("metrics", given="No recorded stage changed.")


def _listed(names: Sequence[str], between: str = ", ") -> str:
    return between.join(map(plain, names))


def responsible(stage: Stage, before: Mapping[Stage, Movement]) -> Responsible:
    """Return the step that makes a stage which changed.

    Args:
        stage: the stage.
        before: how far every earlier stage moved that both results have.
    """
    found = [_judged(step, stage, before) for step in rules_of(stage).steps]
    return next((each for each in found if not each.unknown), found[-1])


def _judged(step: Step, stage: Stage, before: Mapping[Stage, Movement]) -> Responsible:
    moved = {each.named(stage): [before[known] for known in each.among(before, stage)] for each in step.after}
    farthest = {name: max(own, key=_share) for name, own in moved.items() if own}
    inside = {name: each for name, each in farthest.items() if not each.beyond_limit}
    return Responsible(
        step.words,
        held=tuple(name for name, each in inside.items() if each.equal),
        slight=tuple(f"{name} {each.words}" for name, each in inside.items() if not each.equal),
        other=tuple(name for name in farthest if name not in inside),
        unknown=tuple(name for name, own in moved.items() if not own),
        given=step.given,
    )


def _share(moved: Movement) -> tuple[bool, float]:
    """Return what stages of one name are sorted by: the one nearest to its limit, or farthest beyond it, is told."""
    return moved.beyond_limit, moved.change / moved.limit if moved.limit else moved.change


@dataclass(frozen=True)
class StageShift:
    """The first stage of the chain that changed.

    Attributes:
        stage: which one.
        change: relative change |obtained - golden| / |golden|; infinite for stages that can only be equal or not.
        responsible: the step that makes the stage, and what is known of earlier stages; None if it was not looked for.
        noise: the noise that it moved beyond, if it stayed below its limit; None if it moved beyond its limit.
        measured: whether that noise was measured for the golden; else it is what a CPU usually has.
        exceeds: then the first stage that moved beyond its limit; None if none did, or if this stage did itself.
        limit: the change up to which the stage may move; None if that is not told.
    """

    stage: Stage
    change: float
    responsible: Responsible | None = None
    noise: float | None = None
    exceeds: StageShift | None = None
    measured: bool = True
    limit: float | None = None

    def __str__(self) -> str:
        return f"{stage_words(self.stage)}{self._amount}"

    @property
    def beginning(self) -> str:
        """The sentence without what is known of earlier stages, and without the responsible step."""
        if self.stage == _MEASURES:
            return str((self.responsible or _OF_MEASURES).given or _OF_MEASURES.given)
        return f"The change begins at the {self.place}."

    @property
    def sentence(self) -> str:
        """Where it begins: 'The change begins at the view (changed by 3.1 %; its limit is 0.0001 %).'."""
        if self.stage == _MEASURES:
            return str(self.responsible or _OF_MEASURES)
        return f"{self.beginning} {self.responsible}" if self.responsible else self.beginning

    @property
    def place(self) -> str:
        """The stage and how far it moved, and the first stage beyond its limit if that is a later one."""
        return f"{self}{self._beyond}"

    @property
    def _amount(self) -> str:
        if self.noise is not None:
            kind = "measured" if self.measured else "usual"
            return f" ({self._by}, above its {kind} noise of {share(self.noise)})"
        if not math.isfinite(self.change):
            return ""
        return f" ({self._by}{'' if self.limit is None else f'; its limit is {share(self.limit)}'})"

    @property
    def _by(self) -> str:
        return f"changed by {share(self.change)}"

    @property
    def _beyond(self) -> str:
        if self.noise is None:
            return ""
        if self.exceeds is None:
            return "; no stage moved beyond its limit"
        return f" and exceeds its limit first at the {self.exceeds}"


def moved_input(obtained: Result, golden: Result) -> StageShift | None:
    """Return the first stage that changed, including the bytes of the image: for cases that cannot be compared."""
    every = movements(obtained, golden)
    return _explained(next(_beyond(every), None), every, obtained)


def stage_findings(
    obtained: Result, golden: Result, every: Mapping[Stage, Movement], expected: frozenset[Stage] = frozenset()
) -> tuple[Finding, ...]:
    """Report the first stage that changed by more than anything harmless changes it, unless it was expected to move.

    If an earlier stage changed (say, the input tensor), the case counts as drift even when every field is still within
    its tolerance, because on other images the same change may well be visible in the explanation. Where the user raised
    the tolerance of a field, its own stages (such as its raw map) are judged by this tolerance alone, as on a GPU.
    `every` is what `movements` returned for the two.
    """
    raised = obtained.provenance.parameters.get(RAISED_TOLERANCES, {})
    on_cpu, equal = _on_cpu(obtained, golden), equal_stages(obtained, golden)
    for shift in _beyond(every):
        if shift.stage in expected:
            continue
        own = shift.stage.of in raised or shift.stage.kind in raised
        most = rules_of(shift.stage).alarm(on_cpu=on_cpu and not own)
        most *= _leeway(obtained, golden, shift.stage, equal)
        most = most if own else _at_most(shift.stage, most, equal, on_cpu=on_cpu)
        rounded = "" if own else _rounded(obtained, golden, shift.stage)
        most = 0.0 if rounded else most
        if shift.change > most:
            amount = f" by {share(shift.change)}" if math.isfinite(shift.change) else ""
            sentence = (
                f"the {stage_words(shift.stage)} changed{amount} (at most {share(most)} is allowed{rounded}), although "
                "every field is within its tolerance"
            )
            return (Finding("stages", Severity.NUMBERS, str(shift.stage), sentence, _finite(shift.change), most),)
    return ()


def origin_of(
    obtained: Result,
    golden: Result,
    every: Mapping[Stage, Movement],
    *,
    drifted: bool,
    expected: frozenset[Stage] = frozenset(),
    fields: Collection[str] = (),
) -> StageShift | None:
    """Return where a change began; None if no stage moved beyond its limit, and nothing drifted.

    It is the first stage, in the order of the result, that moved beyond its limit; one that was not expected to move
    comes before all that were. If the case drifted, an earlier stage that stayed below its limit but moved beyond its
    measured noise is where it began, unless later steps cannot have amplified it to so much. If fields drifted and no
    stage moved so far, the step after the last recorded stage is responsible.

    Args:
        obtained: the result.
        golden: its golden.
        every: how far every stage moved, with the noise that was measured for the golden, as `movements` returned it.
        drifted: whether anything of the case is beyond its limit.
        expected: stages that a recorded change explains.
        fields: names of the fields that drifted.
    """
    beyond = [shift for shift in _beyond(every) if shift.stage.kind != StageKind.IMAGE_BYTES]
    first = next((shift for shift in beyond if shift.stage not in expected), next(iter(beyond), None))
    if not drifted or not golden.stages:
        return _explained(first, every, obtained)
    earlier = _beginning(every, first, expected)
    if first is None and earlier is None:
        if _OF_TARGET.intersection(fields) and _TARGET in every:
            return _explained(StageShift(_TARGET, math.inf), every, obtained)
        step = responsible(_MEASURES, {})
        return StageShift(_MEASURES, math.inf, dataclasses.replace(step, given=_held(every)))
    return _explained(earlier or first, every, obtained)


def _beginning(
    every: Mapping[Stage, Movement], first: StageShift | None, expected: frozenset[Stage]
) -> StageShift | None:
    """Return the first stage that moved beyond its measured noise, before the first that moved beyond its limit."""
    later = every[first.stage] if first else None
    # What follows from a recorded change is no beginning of an accident.
    passed_over = expected if first and first.stage not in expected else frozenset[Stage]()
    for stage, moved in _until(first, every).items():
        slight = moved.beyond_noise and not moved.beyond_limit
        if slight and stage not in passed_over and moved.may_cause(later):
            return StageShift(stage, moved.change, noise=moved.told_noise, exceeds=first, measured=moved.is_measured)
    return None


def _until(shift: StageShift | None, every: Mapping[Stage, Movement]) -> dict[Stage, Movement]:
    """Return the stages before one; all if there is none."""
    return dict(itertools.takewhile(lambda each: shift is None or each[0] != shift.stage, every.items()))


def _held(every: Mapping[Stage, Movement]) -> str:
    """Say that no stage moved beyond its limit, and which one came nearest to it."""
    moved = {stage: each for stage, each in every.items() if not each.equal and not each.beyond_limit}
    if not moved:
        return "No recorded stage changed."
    nearest = max(moved, key=lambda stage: _share(moved[stage]))
    told = f"the {stage_words(nearest)} {moved[nearest].words}"
    return f"No recorded stage moved beyond its limit; {'nearest to it, ' if len(moved) > 1 else ''}{told}."


def _explained(shift: StageShift | None, every: Mapping[Stage, Movement], obtained: Result) -> StageShift | None:
    """Add the step that is responsible for a shift."""
    if shift is None:
        return None
    before = {stage: moved for stage, moved in _until(shift, every).items() if stage in obtained.stages}
    return dataclasses.replace(shift, responsible=responsible(shift.stage, before))


def movements(obtained: Result, golden: Result, noise: Noise | None = None) -> dict[Stage, Movement]:
    """Return how far every stage of the golden moved, in the order of the result; what it no longer has, last."""
    on_cpu, equal = _on_cpu(obtained, golden), equal_stages(obtained, golden)
    found = {}
    for stage in _in_order(obtained, golden):
        change = _change(obtained, golden, stage)
        if change == 0.0:  # as of most stages; their limits decide nothing
            found[stage] = EQUAL
        else:
            limit = _limit(obtained, golden, stage, equal, on_cpu=on_cpu)
            found[stage] = Movement(change, limit, noise_of(stage, noise), usual=on_cpu)
    return found


def _beyond(every: Mapping[Stage, Movement]) -> Iterator[StageShift]:
    return (StageShift(stage, moved.change, limit=moved.limit) for stage, moved in every.items() if moved.beyond_limit)


def _change(obtained: Result, golden: Result, stage: Stage) -> float:
    was = golden.stages[stage]
    now = counterpart(obtained, stage, was)
    return math.inf if now is None else now.distance(was)


def moved_stages(obtained: Result, golden: Result) -> Iterator[StageShift]:
    """Yield all stages that changed by more than their limits."""
    return _beyond(movements(obtained, golden))


def _limit(obtained: Result, golden: Result, stage: Stage, equal: EqualStages, *, on_cpu: bool) -> float:
    """Return how far a stage may move."""
    if _rounded(obtained, golden, stage):
        return 0.0
    usual = rules_of(stage).limit(on_cpu=on_cpu) * _leeway(obtained, golden, stage, equal)
    return _at_most(stage, usual, equal, on_cpu=on_cpu)


def _rounded(obtained: Result, golden: Result, stage: Stage) -> str:
    """Say that all numbers of a stage have fewer significant bits than those of the golden; empty if they have not.

    That is no rounding of the last digits, as other processors do it, however little it changes: a step computes in
    half precision now.
    """
    now, was = obtained.stages.get(stage), golden.stages.get(stage)
    if now is None or was is None or not now.coarser_than(was):
        return ""
    kind = _HALVES[now.bits]
    return f", because all its numbers are rounded to {now.bits} significant bits now, as {kind} has them"


def _at_most(stage: Stage, usual: float, equal: EqualStages, *, on_cpu: bool) -> float:
    """Return how far a stage may move: less than usual, if all that it is made from is the same in every bit."""
    if on_cpu and _held_exactly(stage, equal):
        return 0.0
    return min(usual, ON_CPU) if rules_of(stage).follows and equal.made(stage) else usual


def _leeway(obtained: Result, golden: Result, stage: Stage, equal: EqualStages) -> float:
    """How many times its usual limit a stage may move, as the run measured it: what a golden claims widens nothing.

    Amplified is what the stages before it moved. Where these are the same in every bit, only what has no stage, such as
    gradients, can have moved, by the noise that a CPU usually has.
    """
    now, coarse = obtained.stages.get(stage), _coarse(obtained, golden, stage)
    if now is None:
        return coarse
    own = max(1.0, USUAL_SHARE * now.leeway) if equal.made(stage) else now.leeway
    return own * coarse


def _coarse(obtained: Result, golden: Result, stage: Stage) -> float:
    """How many times as coarsely as on a GPU the stage is rounded, if it is of those that rounding of a model moves."""
    moves = not rules_of(stage).same_everywhere and _of_one_half(obtained, golden)
    return coarseness(obtained.provenance.precision.get(AUTOCAST)) if moves else 1.0


def _held_exactly(stage: Stage, equal: EqualStages) -> bool:
    """Whether a stage of whole numbers must be the same to the last bit, because what it is made from is.

    A library that counts otherwise is what the gate is for, so it does not matter which versions the golden claims.
    """
    return rules_of(stage).counted and equal.made(stage)


def _in_order(obtained: Result, golden: Result) -> list[Stage]:
    """Return the stages of the golden in the order in which the result computed them; what it no longer has, last."""
    lost = [stage for stage in golden.stages if stage not in obtained.stages]
    return [*(stage for stage in obtained.stages if stage in golden.stages), *lost]


def _on_cpu(obtained: Result, golden: Result) -> bool:
    """Whether the limits of a CPU hold. The device of the run decides: a golden that claims another widens nothing.

    If both are of one half precision, other kernels of the same CPU move a network by as much as TF32 on a GPU does
    (decision 0055). If only one is, the limits hold, so that a changed precision is told as drift.
    """
    return obtained.provenance.device == "cpu" and not _of_one_half(obtained, golden)


def _of_one_half(obtained: Result, golden: Result) -> bool:
    now, was = obtained.provenance.precision, golden.provenance.precision
    return in_half(now) and same_precision(now, was)


def _finite(change: float) -> float | None:
    return change if math.isfinite(change) else None
