"""Tells when a model is written otherwise than before and computes the same, which is no change of its state. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xai_eval.gate.movement import LEAST_SHARE
from xai_eval.gate.same_layers import LAYER, held, renamed_layers, same_layer, with_layers_of_now
from xai_eval.gate.stage_words import stage_words
from xai_eval.result.class_list import CLASS_LIST
from xai_eval.result.fields import Document, Field
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.result import Result
from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K

_OF_BLOCKS = (K.MODEL_WEIGHTS, K.CLIP_WEIGHTS)
# What a model is written as, beside its weights, and what it answers before anything is made of the answer.
_ANSWERS: Mapping[K | OwnKind, tuple[K, ...]] = {
    K.MODULE_TYPES: (K.LAYER_ACTIVATIONS, K.LOGITS, K.PERTURBED_PREDICTIONS, K.ACTIVATIONS, K.UNIT_MAPS),
    K.CLIP_MODULE_TYPES: (K.WORD_EMBEDDINGS, K.EMBEDDINGS),
}
_WEIGHTS_OF: Mapping[K | OwnKind, K] = {K.MODULE_TYPES: K.MODEL_WEIGHTS, K.CLIP_MODULE_TYPES: K.CLIP_WEIGHTS}
# The entry of a description that tells how the output is read, and the part of it that tells where the scores stand.
_OUTPUT, _ENTRY = "output", re.compile(r"^entry \S+ of the output; ")
# The entry that tells what a pass changes in the model, such as a counter of passes.
_BY_A_PASS = "changed by a pass"
# The entry of the description of a model that tells how many classes there are, and where their names come from.
_ABOUT_THE_MODEL, _CLASSES, _COUNT = "model", "classes", re.compile(r"^\d+; ")
# What follows from gradients, or from an answer and something else; it may move by rounding, up to its limit.
_FURTHER = (K.RAW_MAP, K.ATTRIBUTION)


@dataclass(frozen=True)
class Respelt:
    """A result and its golden without what only says how the model is written.

    Attributes:
        obtained: the result.
        golden: its golden.
        stages: of the golden that were left out, because the model answers as before.
        layers: names of layers before and now, of which only the name changed.
    """

    obtained: Result
    golden: Result
    stages: tuple[Stage, ...] = ()
    layers: Mapping[str, str] = field(default_factory=dict)


def respelt(obtained: Result, golden: Result) -> Respelt:
    """Leave out types of modules, and blocks of weights of other names, of a model that answers as before.

    A model can be written in more ways than its code tells: functions in place of modules, three projections in place
    of one, other containers. So its answers decide. All that it answered for the golden (the activations of the layer,
    logits, predictions) has to be the same up to a hundredth of the limit, as rounding leaves it; and no map or
    attribution may have moved beyond its limit, because a gradient can change behind an equal answer. Training flags,
    hooks, and weights of a block of the same name are compared all the same, unless the blocks only changed names
    among each other. Only if its modules are declared in another order may such a block be digested in another order;
    then every bit of the answers has to be the same. The layers of a dissection are found again by what they give.
    """
    names = renamed_layers(obtained, golden)
    golden = with_layers_of_now(golden, names, obtained)
    left_out = set[Stage]()
    for types in (stage for stage in golden.stages if stage.kind in _ANSWERS):
        apart = _blocks_apart(obtained, golden, types) | _blocks_renamed(obtained, golden, types)
        moved = types in obtained.stages and obtained.stages[types].distance(golden.stages[types]) > 0.0
        if (moved or apart) and _answers_as_before(obtained, golden, types):
            left_out |= {types, *apart, *(_in_another_order(obtained, golden, types) if moved else ())}
    stages = tuple(stage for stage in golden.stages if stage in left_out)
    names |= _layer_names(obtained, golden) if same_layer(obtained, golden) else {}
    return Respelt(
        _without(obtained, left_out), _told_alike(obtained, _without(golden, left_out), names), stages, names
    )


def _layer_names(obtained: Result, golden: Result) -> dict[str, str]:
    was, now = (str(each.case.params.get(LAYER)) for each in (golden, obtained))
    return {} if was == now else {was: now}


def _told_alike(obtained: Result, golden: Result, layers: Mapping[str, str]) -> Result:
    """Return the golden with what it says of the model as the result says it.

    That is where logits stand, what a pass changes in a model that answers as before, how layers are called, and where
    the names of as many classes come from, if both record these names: what the classes are called is compared by
    itself.
    """
    names = {f"{LAYER} {was}": f"{LAYER} {now}" for was, now in layers.items()}
    logits = Stage(K.LOGITS)
    same_scores = logits in golden.stages and held(obtained, golden, logits, LEAST_SHARE)
    listed = all(isinstance(each.provenance.parameters.get(CLASS_LIST), Mapping) for each in (obtained, golden))

    def told(name: str, value: Field) -> Field:
        now = obtained.fields.get(name)
        if not (isinstance(value, Document) and isinstance(now, Document)):
            return value
        content = {names.get(key, key): each for key, each in value.content.items()}
        facts = {names.get(key, key): each for key, each in value.facts.items()}
        if same_scores:
            facts = _at_the_same_entry(facts, now.facts)
        texts = content.get(_OUTPUT), now.content.get(_OUTPUT)
        if same_scores and _ENTRY.sub("", str(texts[0])) == _ENTRY.sub("", str(texts[1])):
            content = {key: texts[1] if key == _OUTPUT else each for key, each in content.items()}
        if same_scores and name == _ABOUT_THE_MODEL and _BY_A_PASS in now.content:
            content = {key: now.content[key] if key == _BY_A_PASS else each for key, each in content.items()}
        if listed and name == _ABOUT_THE_MODEL and _as_many_classes(content, now.content):
            content = {key: now.content[key] if key == _CLASSES else each for key, each in content.items()}
        same = content == value.content and facts == value.facts
        return value if same else dataclasses.replace(value, content=content, facts=facts)

    if not names and not same_scores and not listed:
        return golden
    return dataclasses.replace(golden, fields={name: told(name, each) for name, each in golden.fields.items()})


def _at_the_same_entry(facts: dict[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts of a golden with logits at the entry at which they stand now."""
    was, obtained = facts.get(_OUTPUT), now.get(_OUTPUT)
    if not (isinstance(was, Mapping) and isinstance(obtained, Mapping) and "entry" in obtained):
        return facts
    return {**facts, _OUTPUT: {**was, "entry": obtained["entry"]}}


def _as_many_classes(content: Mapping[str, object], now: Mapping[str, object]) -> bool:
    """Whether two descriptions of a model tell of as many classes, wherever the names of these come from."""
    counts = [_COUNT.match(str(each.get(_CLASSES))) for each in (content, now)]
    return counts[0] is not None and counts[1] is not None and counts[0][0] == counts[1][0]


def _blocks_apart(obtained: Result, golden: Result, types: Stage) -> set[Stage]:
    """Return blocks of the weights of a model that only one of the two has, under whatever name."""
    return {
        stage
        for one, other in ((golden, obtained), (obtained, golden))
        for stage, each in one.stages.items()
        if _is_block(stage, types) and counterpart(other, stage, each) is None
    }


def _blocks_renamed(obtained: Result, golden: Result, types: Stage) -> set[Stage]:
    """Return blocks that changed names among each other, as numbers of blocks do after one was put between them.

    A block of the same name has other weights then, but those that it had are those of another block now, and those
    that it has were there before.
    """
    both = {stage for stage in golden.stages.keys() & obtained.stages.keys() if _is_block(stage, types)}
    moved = {stage for stage in both if obtained.stages[stage].distance(golden.stages[stage]) > 0.0}
    known = {
        stage
        for stage in moved
        if _elsewhere(obtained, stage, golden.stages[stage]) and _elsewhere(golden, stage, obtained.stages[stage])
    }
    alone = {stage for stage in golden.stages.keys() ^ obtained.stages.keys() if _is_block(stage, types)}
    return known | (alone if known else set())


def _elsewhere(result: Result, stage: Stage, each: Fingerprint) -> Fingerprint | None:
    """Return the block of a result, whatever its name, that has the weights `each`; None if no block has."""
    blocks = (found for other, found in result.stages.items() if (other.kind, other.model) == (stage.kind, stage.model))
    return next((found for found in blocks if found.distance(each) == 0.0), None)


def _is_block(stage: Stage, types: Stage) -> bool:
    return stage.kind == _WEIGHTS_OF[types.kind] and stage.model == types.model


def _in_another_order(obtained: Result, golden: Result, types: Stage) -> set[Stage]:
    """Return blocks with other digests if the weights on record and every bit of the answers are the same."""
    same = obtained.provenance.digests == golden.provenance.digests
    if not same or not all(held(obtained, golden, each, 0.0) for each in _answers(golden, types)):
        return set()
    return {each for each in golden.stages if _is_block(each, types) and each in obtained.stages}


def _answers(golden: Result, types: Stage) -> list[Stage]:
    return [each for each in golden.stages if each.kind in _ANSWERS[types.kind] and each.model == types.model]


def _answers_as_before(obtained: Result, golden: Result, types: Stage) -> bool:
    answers = _answers(golden, types)
    further = [each for each in golden.stages if each.kind in _FURTHER and each.model == types.model]
    return (
        bool(answers)
        and all(held(obtained, golden, each, LEAST_SHARE) for each in answers)
        and all(
            held(obtained, golden, each, obtained.stages[each].leeway) for each in further if each in obtained.stages
        )
    )


def _without(result: Result, stages: set[Stage]) -> Result:
    if not stages & result.stages.keys():
        return result
    return dataclasses.replace(result, stages={k: v for k, v in result.stages.items() if k not in stages})


def counterpart(obtained: Result, stage: Stage, was: Fingerprint) -> Fingerprint | None:
    """Return what a result has in place of a stage of its golden; None if it has nothing.

    It is the stage of this name. Weights of a block are also found under another name, such as `conv1.0` for `conv1`
    that was put into an `nn.Sequential`, if they are the same.
    """
    named = obtained.stages.get(stage)
    if named is not None or stage.kind not in _OF_BLOCKS:
        return named
    return _elsewhere(obtained, stage, was)


def written_otherwise(pair: Respelt) -> str:
    """Return a sentence, with a space before it, on stages that are the same but written otherwise; empty if none is.

    It is for reading: names of classes, wrappers, the form of settings, and the name of the layer fail nothing.
    """
    pairs = [(stage, was, counterpart(pair.obtained, stage, was)) for stage, was in pair.golden.stages.items()]
    stages = [
        *pair.stages,
        *(
            stage
            for stage, was, now in pairs
            if now is not None and (now.written_otherwise(was) or stage not in pair.obtained.stages)
        ),
    ]
    renamed = "".join(f" Its layer {was} is now called {now}." for was, now in pair.layers.items())
    if not stages:
        return renamed
    named = ", ".join(stage_words(stage) for stage in stages[:2])
    more = f" and {len(stages) - 2} more" if len(stages) > 2 else ""
    return (
        " The model is written otherwise than when the golden was accepted (names of classes, wrappers, or the form of "
        f"settings: {named}{more}), but computes the same.{renamed}"
    )
