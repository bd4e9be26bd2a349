"""Which step is named for a stage, and what is said of the stages in front of it."""

import dataclasses

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval import judge
from xai_eval.gate.movement import EQUAL, Movement
from xai_eval.gate.stages import responsible
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K

VALUES = np.linspace(-1.0, 1.0, 300)
BEYOND = Movement(float("inf"), 2e-4)
CHAIN = (
    Stage(K.IMAGE_BYTES),
    Stage(K.DECODED_PIXELS),
    Stage(K.INPUT_TENSOR),
    Stage(K.VIEW),
    Stage(K.OBJECT_MASK),
    Stage(K.HOOKS),
    Stage(K.MODEL_WEIGHTS, "conv1"),
    Stage(K.LAYER_ACTIVATIONS),
    Stage(K.LOGITS),
    Stage(K.TARGET),
    Stage(K.SEGMENTS),
    Stage(K.SAMPLES),
    Stage(K.PERTURBED_PREDICTIONS),
    Stage(K.WEIGHTS),
    Stage(K.RAW_MAP, "gradcam"),
    Stage(K.FINAL_MAP, "gradcam"),
    Stage(K.FINAL_MAP, "lime"),
)


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (Stage(K.IMAGE_BYTES), "Nothing comes before it. Responsible step: the file of the image."),
        (Stage(K.DECODED_PIXELS), "Unchanged before it: image bytes. Responsible step: decoding."),
        (
            Stage(K.INPUT_TENSOR),
            "Unchanged before it: image bytes, decoded pixels. Responsible step: preprocessing.",
        ),
        (Stage(K.HOOKS), "Unchanged before it: input tensor. Responsible step: state of the model."),
        (
            Stage(K.MODEL_WEIGHTS, "conv1"),
            "Unchanged before it: input tensor. Responsible step: weights of the model.",
        ),
        (
            Stage(K.LAYER_ACTIVATIONS),
            "Unchanged before it: input tensor, model state. Responsible step: forward pass of the model.",
        ),
        (Stage(K.TARGET), "Unchanged before it: logits. Responsible step: choice of the target."),
        (Stage(K.SEGMENTS), "Unchanged before it: view. Responsible step: segmentation."),
        (
            Stage(K.WEIGHTS),
            "Unchanged before it: samples, perturbed predictions. Responsible step: fit of the surrogate.",
        ),
        (
            Stage(K.RAW_MAP, "gradcam"),
            "Unchanged before it: model state, layer activations, target. Responsible step: explainer.",
        ),
        (
            Stage(K.FINAL_MAP, "gradcam"),
            "Unchanged before it: raw map of Grad-CAM. Responsible step: post-processing of the map.",
        ),
        (
            Stage(K.FINAL_MAP, "lime"),
            "Unchanged before it: weights. Responsible step: post-processing of the map.",
        ),
    ],
)
def test_the_step_between_what_held_and_what_moved_is_named(stage, told):
    assert str(responsible(stage, dict.fromkeys(CHAIN[: CHAIN.index(stage)], EQUAL))) == told


def test_without_a_raw_map_the_explainer_is_not_told_from_what_follows():
    before = [stage for stage in CHAIN[: CHAIN.index(Stage(K.FINAL_MAP, "gradcam"))] if stage.kind != K.RAW_MAP]
    assert (
        responsible(Stage(K.FINAL_MAP, "gradcam"), dict.fromkeys(before, EQUAL)).step == "explainer or post-processing"
    )


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (
            Stage(K.TOP_K, "layer3"),
            "Unchanged before it: activations of layer3. Responsible step: choice of the top-k.",
        ),
        (
            Stage(K.OVERLAP, "layer3", "b"),
            "Unchanged before it: activations of layer3 in b, label maps. "
            "Responsible step: thresholds of units, and overlap with pixel labels.",
        ),
        (
            Stage(K.LABELS_BY_CLIP, model="b"),
            "Unchanged before it: similarity. Responsible step: choice of the labels.",
        ),
        (
            Stage(K.EMBEDDINGS),
            "Unchanged before it: probe images, model state of CLIP. Responsible step: CLIP embeddings of the images.",
        ),
        (Stage(K.CLIP_WEIGHTS, "visual"), "Unchanged before it: concepts. Responsible step: weights of CLIP."),
        (
            Stage(K.MODEL_WEIGHTS, "fc", "b"),
            "Unchanged before it: input tensor. Responsible step: weights of the model.",
        ),
        (
            Stage(K.INPUT_TENSOR),
            "Unchanged before it: probe set, probe images. Responsible step: preprocessing.",
        ),
    ],
)
def test_a_dissection_has_steps_of_its_own(stage, told):
    before = (
        Stage(K.PROBE_SET),
        Stage(K.PROBE_IMAGES),
        Stage(K.LABEL_MAPS),
        Stage(K.INPUT_TENSOR),
        Stage(K.CONCEPTS),
        Stage(K.CLIP_WEIGHTS, "visual"),
        Stage(K.MODEL_WEIGHTS, "fc", "b"),
        Stage(K.ACTIVATIONS, "layer3"),
        Stage(K.ACTIVATIONS, "layer3", "b"),
        Stage(K.SIMILARITY, "layer3", "b"),
    )
    assert str(responsible(stage, dict.fromkeys([name for name in before if name != stage], EQUAL))) == told


def test_what_is_not_recorded_is_said():
    assert (
        str(responsible(Stage(K.INPUT_TENSOR), {})) == "Nothing before it is recorded. Responsible step: preprocessing."
    )
    poorer = responsible(Stage(K.LAYER_ACTIVATIONS), {Stage(K.INPUT_TENSOR): EQUAL})
    step = "Responsible step: forward pass of the model."
    assert str(poorer) == f"Unchanged before it: input tensor. Not recorded: model state. {step}"


def test_steps_are_told_apart_though_nothing_is_recorded_in_front_of_them():
    named = {
        Stage(K.HOOKS): "state of the model",
        Stage(K.MODEL_WEIGHTS, "fc", "a"): "weights of the model",
        Stage(K.CLIP_HOOKS): "state of CLIP",
        Stage(K.CLIP_WEIGHTS, "visual"): "weights of CLIP",
        Stage(K.LAYER_ACTIVATIONS): "forward pass of the model",
        Stage(K.ACTIVATIONS, "layer4"): "forward pass of the model, pooled over places",
    }
    assert {stage: responsible(stage, {}).step for stage in named} == named


@pytest.mark.parametrize(
    ("stage", "another"),
    [
        (Stage(K.ACTIVATIONS, "layer3", "b"), Stage(K.MODEL_WEIGHTS, "fc", "a")),
        (Stage(K.ACTIVATIONS, "layer3", "b"), Stage(K.CLIP_WEIGHTS, "visual")),
        (Stage(K.OVERLAP, "layer3", "b"), Stage(K.ACTIVATIONS, "layer3", "a")),
        (Stage(K.OVERLAP, "layer3", "b"), Stage(K.ACTIVATIONS, "layer2", "b")),
        (Stage(K.LABELS_BY_CLIP, model="b"), Stage(K.SIMILARITY, "layer3", "a")),
        (Stage(K.SIMILARITY, "layer3"), Stage(K.WORD_EMBEDDINGS)),
    ],
    ids=str,
)
def test_a_step_begins_with_nothing_of_another_model_or_part(stage, another):
    found = responsible(stage, {another: BEYOND})
    assert found.other == (("word embeddings",) if another.kind == K.WORD_EMBEDDINGS else ())


def test_one_part_that_is_another_is_enough():
    before = {Stage(K.INPUT_TENSOR): EQUAL, Stage(K.HOOKS): EQUAL, Stage(K.MODEL_WEIGHTS, "fc"): BEYOND}
    assert responsible(Stage(K.LAYER_ACTIVATIONS), before).other == ("model state",)


def results(*stages, moved=None, **provenance):
    """The same chain twice, with other values from the stage `moved` on, and a map that moved."""
    chain = {Stage(K.IMAGE_BYTES): fingerprint_text("file"), **dict.fromkeys(stages, fingerprint_array(VALUES))}
    after = stages[stages.index(moved) :] if moved else ()
    golden = dataclasses.replace(make_result(), stages=chain)
    return (
        dataclasses.replace(
            make_result(saliency=blob(150, 40)),
            stages={**chain, **dict.fromkeys(after, fingerprint_array(VALUES * 1.031))},
            provenance=dataclasses.replace(golden.provenance, **provenance),
        ),
        golden,
    )


def test_the_sentence_names_stage_change_and_step():
    chain = (Stage(K.DECODED_PIXELS), Stage(K.INPUT_TENSOR), Stage(K.LOGITS))
    verdict = judge(*results(*chain, moved=Stage(K.INPUT_TENSOR), versions={"torch": "2.15.0"}))
    assert verdict.sentence.endswith(
        " The change begins at the input tensor (changed by 3.1 %; its limit is 0.005 %). Unchanged "
        "before it: image bytes, decoded pixels. Responsible step: preprocessing. "
        "Since the golden was accepted, this changed: "
        "torch 2.11.0 -> 2.15.0."
    )


def test_without_a_change_the_code_is_what_remains():
    verdict = judge(*results(Stage(K.DECODED_PIXELS), Stage(K.INPUT_TENSOR), moved=Stage(K.INPUT_TENSOR)))
    assert verdict.sentence.endswith(
        " The change begins at the input tensor (changed by 3.1 %; its limit is 0.005 %). Unchanged "
        "before it: image bytes, decoded pixels. Responsible step: preprocessing. "
        "Weights, image, versions and settings are those of the golden: look at the code."
    )


def test_an_image_that_was_compressed_anew_does_not_hide_the_step():
    obtained, golden = results(Stage(K.DECODED_PIXELS), Stage(K.INPUT_TENSOR), moved=Stage(K.INPUT_TENSOR))
    anew = dataclasses.replace(
        obtained, stages={**obtained.stages, Stage(K.IMAGE_BYTES): fingerprint_text("another file")}
    )
    told = "Changed before it, too: image bytes. Unchanged before it: decoded pixels. Responsible step: preprocessing."
    assert told in judge(anew, golden).sentence


def test_where_no_stage_moved_the_metrics_are_named():
    verdict = judge(*results(Stage(K.DECODED_PIXELS), Stage(K.LOGITS)))
    step = "Responsible step: metrics, or how the result is put together."
    assert (
        f"No recorded stage changed. {step} Weights, image, versions and settings are those of the golden"
        in verdict.sentence
    )


def test_a_golden_without_stages_cannot_tell():
    obtained, golden = results(Stage(K.LOGITS))
    bare = dataclasses.replace(golden, stages={})
    assert "No recorded stage can tell where the change begins. Weights" in judge(obtained, bare).sentence
