"""Which stages a recorded change explains: those that the steps of the table make from what the change is about. Pure.

A change of weights explains what is computed from these weights, and nothing before or beside it. So if the input
tensor moved as well, that is an accident, although the weights were changed on purpose.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind, parameter_changes
from xai_eval.gate.movement import share
from xai_eval.gate.same_layers import LAYER, LAYERS, renamed_layers, same_layer
from xai_eval.gate.spelling import counterpart
from xai_eval.gate.stage_table import Group, Step, groups_of, rules_of
from xai_eval.gate.stage_words import stage_words
from xai_eval.gate.stages import StageShift, moved_stages
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.result import Result
from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K
from xai_eval.result.without_effect import with_effect
from xai_eval.store.upgrade_policy import Decides, Policy

_CLIP, _OF_ONE_MODEL = "clip", "weights of "
_MODEL_STATE = frozenset({K.MODULE_TYPES, K.TRAINING_FLAGS, K.HOOKS, K.MODEL_WEIGHTS})
_CLIP_STATE = frozenset({K.CLIP_MODULE_TYPES, K.CLIP_TRAINING_FLAGS, K.CLIP_HOOKS, K.CLIP_WEIGHTS})
# Their place in the chain says where to look first; nothing before them makes them what they are.
_STATE = _MODEL_STATE | _CLIP_STATE
_GIVEN = frozenset({K.IMAGE_BYTES, K.PROBE_SET, K.CONCEPTS})
_DECODED = frozenset({K.DECODED_PIXELS, K.PROBE_IMAGES})
_PREPARED = frozenset({K.INPUT_TENSOR, K.VIEW})
# The repository's code or a library prints the types of modules, so another version may print them otherwise.
_OF_LIBRARIES = frozenset(K) - _GIVEN - _STATE | {K.MODULE_TYPES, K.CLIP_MODULE_TYPES}
# What steps are tried on follows from no parameter.
_OF_PARAMETERS = frozenset(K) - _GIVEN - _STATE - _DECODED - {K.TRIAL}
_NAMED = 5  # stages that a sentence spells out


@dataclass(frozen=True)
class Upgrade:
    """A recorded change after which the explanation decides.

    Attributes:
        kinds: what changed on record.
        moved: the stages that were expected to move, and moved by more than their limits, in order.
    """

    kinds: tuple[ChangeKind, ...]
    moved: tuple[StageShift, ...]

    @property
    def of_weights(self) -> bool:
        """Whether the weights or the model changed."""
        return ChangeKind.WEIGHTS in self.kinds

    @property
    def what(self) -> str:
        """What changed, in words, such as 'weights and libraries'."""
        return " and ".join(_IN_WORDS[kind] for kind in self.kinds)

    @property
    def sentence(self) -> str:
        """What was expected to move, and by how much it did."""
        if not self.moved:
            return "No stage that follows from this moved beyond its limit."
        named = ", ".join(_amount(each) for each in self.moved[:_NAMED])
        more = f" and {len(self.moved) - _NAMED} more" if len(self.moved) > _NAMED else ""
        return f"Expected to move, and moved: {named}{more}."


_IN_WORDS = {
    ChangeKind.WEIGHTS: "weights",
    ChangeKind.VERSION: "libraries",
    ChangeKind.SEED: "seed",
    ChangeKind.PARAMETER: "parameters",
}


def _amount(shift: StageShift) -> str:
    name = stage_words(shift.stage)
    return f"{name} (by {share(shift.change)})" if shift.change < float("inf") else name


def another_model(obtained: Result, golden: Result) -> bool:
    """Whether the two are of two models, not of two states of one."""
    return obtained.case.model != golden.case.model


def changed_parameters(obtained: Result, golden: Result, policy: Policy) -> tuple[Change, ...]:
    """List changed parameters of the task, without the name of a layer that is the same.

    Another name is no other layer if it gives the same activations, as behind a wrapper. The layer of another model has
    another name, and is the layer of that model all the same, if the explanation decides about another model. A layer
    where the golden has none only adds to the result, such as a map of Grad-CAM beside LIME, which is unwatched.
    """
    changed = parameter_changes(with_effect(obtained.case.params), with_effect(golden.case.params))
    added = LAYER in obtained.case.params and LAYER not in golden.case.params
    upgraded = another_model(obtained, golden) and policy.weights is Decides.EXPLANATION
    same = {LAYER} if added or upgraded or same_layer(obtained, golden) else set[str]()
    same |= {LAYERS} if renamed_layers(obtained, golden) else set()
    return tuple(each for each in changed if each.what not in same)


def decided_by(kind: ChangeKind, policy: Policy) -> Decides:
    """Return what decides after a recorded change of one kind; the stages, too, where no policy speaks of it."""
    rules = {
        ChangeKind.WEIGHTS: policy.weights,
        ChangeKind.VERSION: policy.libraries,
        ChangeKind.SEED: policy.seed,
        ChangeKind.PARAMETER: policy.parameters,
    }
    return rules.get(kind, Decides.STAGES)


def upgraded_kinds(
    obtained: Result, golden: Result, changes: Sequence[Change], policy: Policy
) -> tuple[ChangeKind, ...]:
    """Return the kinds of recorded changes after which the explanation decides."""
    changed: set[ChangeKind] = {change.kind for change in changes if _confirmed(obtained, golden, change)}
    changed.discard(ChangeKind.PARAMETER)
    if changed_parameters(obtained, golden, policy) or _prepared_otherwise(obtained, golden):
        changed.add(ChangeKind.PARAMETER)
    return tuple(kind for kind in _IN_WORDS if kind in changed and decided_by(kind, policy) is Decides.EXPLANATION)


def _confirmed(obtained: Result, golden: Result, change: Change) -> bool:
    """Whether the stages agree that weights changed: a golden may claim other weights to be judged less strictly.

    Without stages of the weights, in the result or in the golden, nothing but the claim speaks for it.
    """
    kinds = _of_weights((change,))
    if not kinds or another_model(obtained, golden):
        return True
    stages = [stage for stage in obtained.stages if (stage.kind, stage.model) in kinds]
    was = [golden.stages.get(stage) for stage in stages]
    return None not in was and any(_changed(obtained, stage, golden.stages[stage]) for stage in stages)


def explained_stages(
    obtained: Result, golden: Result, changes: Sequence[Change], kinds: Sequence[ChangeKind]
) -> frozenset[Stage]:
    """Return the stages of the golden that follow from recorded changes of the given kinds.

    A stage follows from a change if the change is about it, or if one of the stages that its step starts from follows
    from the change and is no longer the same.
    """
    if not kinds:
        return frozenset()
    roots, absent = _roots(obtained, golden, changes, kinds), _unrecorded(golden, changes, kinds)
    recorded = {group for stage in (*absent, *golden.stages) for group in groups_of(stage)}
    moved = {stage for stage, was in golden.stages.items() if _changed(obtained, stage, was)} | absent
    found, passed_on = set(absent), {group for stage in absent for group in groups_of(stage)}
    for stage in golden.stages:
        if stage in roots or (stage.kind not in _STATE and _follows(stage, recorded, passed_on)):
            found.add(stage)
            passed_on |= set(groups_of(stage)) if stage in moved else set()
    return frozenset(found - absent)


def upgrade_of(
    obtained: Result, golden: Result, explained: frozenset[Stage], kinds: Sequence[ChangeKind]
) -> Upgrade | None:
    """Return what was expected to move, and by how much it did; None if nothing was changed on purpose."""
    if not kinds:
        return None
    later = (each for each in moved_stages(obtained, golden) if each.stage.kind not in _STATE)
    return Upgrade(tuple(kinds), tuple(each for each in later if each.stage in explained))


def lost_with_the_model(obtained: Result, golden: Result, explained: frozenset[Stage]) -> frozenset[Stage]:
    """Return the stages that another model need not have: the blocks of a network have names of their own."""
    if not another_model(obtained, golden):
        return frozenset()
    return frozenset(stage for stage in explained if stage.kind in _MODEL_STATE)


def _changed(obtained: Result, stage: Stage, was: Fingerprint) -> bool:
    now = counterpart(obtained, stage, was)
    return now is None or not (now.digest == was.digest or now.written_otherwise(was))


def _follows(stage: Stage, recorded: Collection[Group], passed_on: Collection[Group]) -> bool:
    """Whether one of the groups that pass a change on is what a stage is made from.

    Of a user's own kind, that is any earlier one, as none is known.
    """
    if isinstance(stage.kind, OwnKind):
        return bool(passed_on)
    return any(group in passed_on for before in _step(stage, recorded).after for group in before.groups(stage))


def _step(stage: Stage, recorded: Collection[Group]) -> Step:
    steps = rules_of(stage).steps
    complete = (
        step for step in steps if all(any(group in recorded for group in each.groups(stage)) for each in step.after)
    )
    return next(complete, steps[-1])


def _roots(
    obtained: Result, golden: Result, changes: Sequence[Change], kinds: Sequence[ChangeKind]
) -> frozenset[Stage]:
    """Return the recorded stages that the changes are about."""
    found = set[Stage]()
    if ChangeKind.WEIGHTS in kinds:
        found |= {stage for stage in golden.stages if (stage.kind, stage.model) in _of_weights(changes)}
        if another_model(obtained, golden):
            own = _MODEL_STATE | (_PREPARED if _prepared_otherwise(obtained, golden) else frozenset())
            found |= {stage for stage in golden.stages if stage.kind in own}
    if ChangeKind.VERSION in kinds:
        found |= {stage for stage in golden.stages if stage.kind in _OF_LIBRARIES}
    if ChangeKind.SEED in kinds:
        found |= {stage for stage in golden.stages if rules_of(stage).drawn}
    if ChangeKind.PARAMETER in kinds:
        found |= {stage for stage in golden.stages if stage.kind in _OF_PARAMETERS}
    return frozenset(found)


def _of_weights(changes: Sequence[Change]) -> set[tuple[K, str]]:
    """Return kind and model of the weights whose digests changed on record."""
    names = [change.what for change in changes if change.kind is ChangeKind.WEIGHTS]
    return {(K.CLIP_WEIGHTS, "") if name == _CLIP else (K.MODEL_WEIGHTS, _model_of(name)) for name in names}


def _model_of(digest: str) -> str:
    """Return the model that a digest of weights is about; empty if the case is about one model only."""
    return digest.removeprefix(_OF_ONE_MODEL) if digest.startswith(_OF_ONE_MODEL) else ""


def _unrecorded(golden: Result, changes: Sequence[Change], kinds: Sequence[ChangeKind]) -> set[Stage]:
    """Return stand-ins for weights that changed on record, of which the golden has no stages."""
    if ChangeKind.WEIGHTS not in kinds:
        return set()
    recorded = {(stage.kind, stage.model) for stage in golden.stages}
    return {Stage(kind, model=model) for kind, model in _of_weights(changes) - recorded}


def _prepared_otherwise(obtained: Result, golden: Result) -> bool:
    """Whether another preprocessing is on record."""
    return _preprocessing(obtained.provenance.parameters) != _preprocessing(golden.provenance.parameters)


def _preprocessing(parameters: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in parameters.items() if name.startswith("preprocessing")}
