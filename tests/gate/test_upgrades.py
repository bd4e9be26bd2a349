"""A change on record explains what follows from it, and nothing before or beside it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import blob, make_case, make_result

from xai_eval import judge
from xai_eval.gate.changes import ChangeKind
from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Document, Heatmap, HeatmapTolerance
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K
from xai_eval.store.upgrade_policy import ALL_STAGES, DEFAULT_POLICY, Decides, Policy

VALUES = np.linspace(-1.0, 1.0, 300)
# The chain of one image by hand, not from the table of the gate: what the weights of the model do not touch, the
# weights themselves, and what is computed with them.
BESIDE = (
    Stage(K.DECODED_PIXELS),
    Stage(K.INPUT_TENSOR),
    Stage(K.VIEW),
    Stage(K.OBJECT_MASK),
    Stage(K.MODULE_TYPES),
    Stage(K.TRAINING_FLAGS),
    Stage(K.HOOKS),
    Stage(K.SEGMENTS),
    Stage(K.SAMPLES),
    Stage(K.BASELINE),
)
WEIGHTS = (Stage(K.MODEL_WEIGHTS, "conv1"), Stage(K.MODEL_WEIGHTS, "fc"))
AFTER = (
    Stage(K.LAYER_ACTIVATIONS),
    Stage(K.LOGITS),
    Stage(K.RAW_MAP, "gradcam"),
    Stage(K.ATTRIBUTION, "saliency"),
    Stage(K.PERTURBED_PREDICTIONS),
)
# These are made from one stage alone, the one before them.
MADE_FROM = {
    Stage(K.FINAL_MAP, "gradcam"): Stage(K.RAW_MAP, "gradcam"),
    Stage(K.SIGNED_MAP, "saliency"): Stage(K.ATTRIBUTION, "saliency"),
    Stage(K.WEIGHTS): Stage(K.PERTURBED_PREDICTIONS),
    Stage(K.FINAL_MAP, "lime"): Stage(K.WEIGHTS),
}
CHAIN = (*BESIDE, *WEIGHTS, *AFTER, *MADE_FROM)
TEXTS = {K.MODULE_TYPES, K.TRAINING_FLAGS, K.HOOKS, K.MODEL_WEIGHTS}


def print_of(stage: Stage, change: float) -> Fingerprint:
    if stage.kind in TEXTS:
        return fingerprint_text(f"{stage} {change}")
    return fingerprint_array(VALUES * (1 + change))


def pair(moved, *, weights="c" * 64, chain=CHAIN, change=0.03, **provenance):
    """A golden, and a result whose stages `moved` and whose weights are others on record."""
    case, made = make_case(), Provenance({"weights": "a" * 64}, versions={"torch": "2.11.0"})
    fields = {"gradcam": Heatmap(blob(20, 20, size=64), HeatmapTolerance(largest=0.02))}
    golden = Result(case, fields, {stage: print_of(stage, 0.0) for stage in chain}, made)
    stages = {stage: print_of(stage, change if stage in moved else 0.0) for stage in chain}
    now = dataclasses.replace(made, digests={"weights": weights}, **provenance)
    return dataclasses.replace(golden, stages=stages, provenance=now), golden


def test_rounded_weights_whose_explanation_held_are_ok_and_told():
    moved = {*WEIGHTS, Stage(K.LAYER_ACTIVATIONS), Stage(K.LOGITS)}
    verdict = judge(*pair(moved, change=3e-4))
    assert verdict.state is State.OK and not verdict.failed
    assert verdict.sentence == (
        "Weights changed on record (weights aaaaaaaa -> cccccccc); the explanation held. Expected to move, and moved: "
        "layer activations (by 0.03 %), logits (by 0.03 %)."
    )
    assert [each.stage for each in verdict.upgrade.moved] == [Stage(K.LAYER_ACTIVATIONS), Stage(K.LOGITS)]


def test_the_same_fails_where_every_stage_must_hold():
    verdict = judge(*pair({*WEIGHTS, Stage(K.LOGITS)}), ALL_STAGES)
    assert verdict.state is State.DRIFT and verdict.upgrade is None
    assert verdict.origin.stage == WEIGHTS[0]


def test_the_strictest_policy_does_not_compare():
    verdict = judge(*pair({*WEIGHTS}), Policy(weights=Decides.INCOMPARABLE))
    assert verdict.state is State.INCOMPARABLE and "weights aaaaaaaa -> cccccccc" in verdict.sentence


@given(st.sets(st.sampled_from(CHAIN)))
def test_a_stage_is_an_accident_unless_what_it_is_made_from_changed_with_the_weights(moved):
    verdict = judge(*pair({*moved, *WEIGHTS}))
    explained = {*WEIGHTS, *AFTER}
    for stage, before in MADE_FROM.items():
        if before in moved and before in explained:
            explained.add(stage)
    if not moved & {*AFTER}:
        explained.add(Stage(K.MODULE_TYPES))  # the model is written otherwise, and answers as before
    # The weights of the surrogate are also made from the samples, which are an accident and named first.
    accidents = [stage for stage in CHAIN if stage in moved and stage not in explained]
    assert (verdict.state is State.DRIFT) == bool(accidents)
    if accidents:
        assert verdict.origin.stage == accidents[0]


@pytest.mark.parametrize("stage", [stage for stage in CHAIN if stage not in WEIGHTS])
def test_what_moved_although_no_weights_changed_on_record_is_an_accident(stage):
    # How a model is written is its own affair as long as it answers as before.
    with_it = {Stage(K.LOGITS)} if stage.kind == K.MODULE_TYPES else set()
    assert judge(*pair({stage, *with_it}, weights="a" * 64)).state is State.DRIFT


def test_weights_that_changed_in_memory_only_are_an_accident():
    assert judge(*pair({*WEIGHTS, *AFTER}, weights="a" * 64)).state is State.DRIFT


def test_a_file_saved_anew_with_the_same_weights_explains_nothing():
    """The digest of the whole changed, that of every block is the same: so what moved did not move because of it."""
    assert judge(*pair({Stage(K.LOGITS)})).state is State.DRIFT
    assert judge(*pair(set())).state is State.OK


def test_weights_without_stages_of_their_own_explain_nothing_because_only_the_golden_claims_them():
    chain = tuple(stage for stage in CHAIN if stage.kind is not K.MODEL_WEIGHTS)
    assert judge(*pair({*AFTER}, chain=chain)).state is State.DRIFT
    assert judge(*pair({Stage(K.SEGMENTS)}, chain=chain)).state is State.DRIFT
    assert judge(*pair(set(), chain=chain)).state is State.OK


def test_fields_still_decide():
    obtained, golden = pair({*WEIGHTS, *AFTER})
    moved = {"gradcam": Heatmap(blob(50, 50, size=64), HeatmapTolerance(largest=0.02))}
    verdict = judge(dataclasses.replace(obtained, fields=moved), golden)
    assert verdict.state is State.DRIFT
    assert "Expected to move, and moved: layer activations" in verdict.sentence


def test_a_stage_that_is_gone_still_fails():
    obtained, golden = pair({*WEIGHTS, *AFTER})
    poorer = dataclasses.replace(obtained, stages={k: v for k, v in obtained.stages.items() if k.kind != K.LOGITS})
    verdict = judge(poorer, golden)
    assert verdict.state is State.DRIFT and "no longer records the logits" in verdict.sentence


def test_a_kind_of_a_user_may_follow_from_any_weights_before_it():
    own = Stage(OwnKind("attention rollout"), "layer4")
    assert judge(*pair({*WEIGHTS, own}, chain=(*CHAIN, own))).state is State.OK
    assert judge(*pair({*WEIGHTS, own}, chain=(own, *CHAIN))).state is State.DRIFT


# Several models, and CLIP.

CLIP = (Stage(K.CLIP_WEIGHTS, "visual"), Stage(K.WORD_EMBEDDINGS), Stage(K.EMBEDDINGS))
PER_MODEL = {
    model: (
        Stage(K.MODEL_WEIGHTS, "conv1", model),
        Stage(K.ACTIVATIONS, "layer4", model),
        Stage(K.SIMILARITY, "layer4", model),
    )
    for model in ("one", "two")
}
DIGESTS = {"weights of one": "a", "weights of two": "b", "clip": "c"}


def compared(changed, moved):
    chain = (
        Stage(K.PROBE_SET),
        Stage(K.PROBE_IMAGES),
        Stage(K.INPUT_TENSOR),
        *CLIP,
        *PER_MODEL["one"],
        *PER_MODEL["two"],
    )
    digests = {name: "other" if name == changed else digest for name, digest in DIGESTS.items()}
    obtained, golden = pair(moved, chain=chain)
    was = dataclasses.replace(golden, provenance=dataclasses.replace(golden.provenance, digests=DIGESTS))
    return dataclasses.replace(obtained, provenance=dataclasses.replace(was.provenance, digests=digests)), was


@pytest.mark.parametrize(
    ("changed", "moved", "state"),
    [
        ("weights of one", PER_MODEL["one"], State.OK),
        ("weights of one", PER_MODEL["two"], State.DRIFT),
        ("weights of one", (PER_MODEL["one"][0], PER_MODEL["two"][1]), State.DRIFT),
        ("weights of one", CLIP, State.DRIFT),
        ("clip", (*CLIP, PER_MODEL["one"][2], PER_MODEL["two"][2]), State.OK),
        ("clip", (CLIP[0], PER_MODEL["one"][1]), State.DRIFT),
        ("clip", (CLIP[0], Stage(K.PROBE_IMAGES)), State.DRIFT),
    ],
)
def test_weights_explain_what_follows_from_them_only(changed, moved, state):
    assert judge(*compared(changed, {*moved})).state is state


# Another model in place of the model.


def replaced(moved, *, layer="features.18", gone=(), prepared=None):
    """The golden of one model, and the result of another, which has another layer and other blocks."""
    obtained, golden = pair(moved)
    case = make_case(model="file:nets.py:other", params={"target": "predicted", "layer": layer})
    was = dataclasses.replace(golden, case=make_case(params={"target": "predicted", "layer": "layer4"}))
    stages = {stage: each for stage, each in obtained.stages.items() if stage not in gone}
    parameters = {} if prepared is None else {"preprocessing": prepared}
    now = dataclasses.replace(obtained.provenance, parameters=parameters)
    fields = {**obtained.fields, "model": Document({"layer": layer})}
    return (
        dataclasses.replace(obtained, case=case, stages=stages, provenance=now, fields=fields),
        dataclasses.replace(was, fields={**was.fields, "model": Document({"layer": "layer4"})}),
    )


OF_THE_MODEL = {Stage(K.MODULE_TYPES), Stage(K.TRAINING_FLAGS), Stage(K.HOOKS), *WEIGHTS, *AFTER}


def test_another_model_explains_its_state_its_layer_and_its_description():
    verdict = judge(*replaced(OF_THE_MODEL, gone=WEIGHTS))
    assert verdict.state is State.OK, verdict.sentence
    assert "file:nets.py:net -> file:nets.py:other" in verdict.sentence


def test_another_model_explains_other_preprocessing_only_if_that_is_on_record():
    moved = {*OF_THE_MODEL, Stage(K.INPUT_TENSOR), Stage(K.VIEW), Stage(K.SEGMENTS), Stage(K.SAMPLES)}
    assert judge(*replaced(moved)).state is State.DRIFT
    assert judge(*replaced(moved, prepared="288 px")).state is State.OK
    assert judge(*replaced({*moved, Stage(K.DECODED_PIXELS)}, prepared="288 px")).state is State.DRIFT


def test_another_model_with_another_layer_finds_its_golden():
    obtained, golden = replaced(OF_THE_MODEL)
    [verdict] = judge_all({obtained.case.key: obtained}, {golden.case.key: golden})
    assert verdict.state is State.OK
    [verdict] = judge_all({obtained.case.key: obtained}, {golden.case.key: golden}, policy=ALL_STAGES)
    assert verdict.state is State.INCOMPARABLE and "layer" in verdict.sentence


def test_another_layer_of_the_same_model_is_another_experiment():
    obtained, golden = replaced(OF_THE_MODEL)
    same = dataclasses.replace(obtained, case=dataclasses.replace(obtained.case, model=golden.case.model))
    assert judge(same, golden).state is State.INCOMPARABLE


# Libraries and parameters.


def test_another_library_is_named_and_a_stage_that_moved_fails():
    obtained, golden = pair({Stage(K.LOGITS)}, weights="a" * 64, versions={"torch": "2.15.0"})
    verdict = judge(obtained, golden)
    assert verdict.state is State.DRIFT and "torch 2.11.0 -> 2.15.0" in verdict.sentence


def test_another_library_may_be_made_to_explain_what_libraries_compute():
    policy = Policy(libraries=Decides.EXPLANATION)
    for moved, state in ((Stage(K.LOGITS), State.OK), (Stage(K.INPUT_TENSOR), State.OK), (WEIGHTS[0], State.DRIFT)):
        verdict = judge(*pair({moved}, weights="a" * 64, versions={"torch": "2.15.0"}), policy)
        assert verdict.state is state
    assert judge(*pair({Stage(K.LOGITS)}, weights="a" * 64), policy).state is State.DRIFT
    strict = Policy(libraries=Decides.INCOMPARABLE)
    assert judge(*pair(set(), weights="a" * 64, versions={"torch": "2.15.0"}), strict).state is State.INCOMPARABLE


def test_another_seed_may_be_made_to_explain_what_is_drawn():
    drawn, policy = Stage(K.SAMPLES), Policy(seed=Decides.EXPLANATION)
    for moved, state in ((drawn, State.OK), (Stage(K.INPUT_TENSOR), State.DRIFT), (Stage(K.LOGITS), State.DRIFT)):
        assert judge(*pair({moved}, weights="a" * 64, seed=7), policy).state is state
        assert judge(*pair({moved}, weights="a" * 64, seed=7)).state is State.DRIFT
        assert judge(*pair({moved}, weights="a" * 64), policy).state is State.DRIFT
    told = judge(*pair({drawn}, weights="a" * 64, seed=7), policy).sentence
    assert told.startswith("Seed changed on record (seed 0 -> 7); the explanation held. Expected to move, and moved")


def test_other_parameters_may_be_made_comparable():
    obtained, golden = pair({Stage(K.SEGMENTS)}, weights="a" * 64)
    other = dataclasses.replace(obtained, case=make_case(params={"target": "predicted", "segments": 50}))
    assert judge(other, golden).state is State.INCOMPARABLE
    assert judge(other, golden, Policy(parameters=Decides.STAGES)).state is State.DRIFT
    verdict = judge(other, golden, Policy(parameters=Decides.EXPLANATION))
    assert verdict.state is State.OK and verdict.upgrade.kinds == (ChangeKind.PARAMETER,)


def test_the_defaults_are_those_of_the_documents():
    assert Policy(Decides.EXPLANATION, Decides.STAGES, Decides.INCOMPARABLE, Decides.STAGES) == DEFAULT_POLICY
    assert judge(make_result(weights="c" * 64), make_result()).upgrade.of_weights
