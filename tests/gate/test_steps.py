"""Which step is named for a stage, and what is said of the stages in front of it."""

import dataclasses

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval import judge
from xai_eval.gate.stages import STEPS, responsible
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text

VALUES = np.linspace(-1.0, 1.0, 300)
CHAIN = (
    "image bytes",
    "decoded pixels",
    "input tensor",
    "view",
    "object mask",
    "model state: hooks",
    "model state: weights of conv1",
    "layer activations",
    "logits",
    "target",
    "segments",
    "samples",
    "perturbed predictions",
    "weights",
    "raw map gradcam",
    "final map gradcam",
    "final map lime",
)


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("image bytes", "nothing comes before it: the file of the image"),
        ("decoded pixels", "same image bytes: decoding"),
        ("input tensor", "same image bytes, same decoded pixels: preprocessing"),
        ("model state: hooks", "same input tensor: state of the model"),
        ("model state: weights of conv1", "same input tensor: weights of the model"),
        ("layer activations", "same input tensor, same model state: forward pass of the model"),
        ("target", "same logits: choice of the target"),
        ("segments", "same view: segmentation"),
        ("weights", "same samples, same perturbed predictions: fit of the surrogate"),
        ("raw map gradcam", "same model state, same layer activations, same target: explainer"),
        ("final map gradcam", "same raw map gradcam: post-processing of the map"),
        ("final map lime", "same weights: post-processing of the map"),
    ],
)
def test_the_step_between_what_held_and_what_moved_is_named(stage, told):
    assert str(responsible(stage, dict.fromkeys(CHAIN[: CHAIN.index(stage)], True))) == told


def test_without_a_raw_map_the_explainer_is_not_told_from_what_follows():
    before = [name for name in CHAIN[: CHAIN.index("final map gradcam")] if not name.startswith("raw map")]
    assert responsible("final map gradcam", dict.fromkeys(before, True)).step == "explainer or post-processing"


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("layer3 top-k", "same layer3 activations: choice of the top-k"),
        (
            "b layer3 overlap",
            "same b layer3 activations, same label maps: thresholds of units, and overlap with pixel labels",
        ),
        ("b clip_units labels", "same similarity: choice of the labels"),
        ("embeddings", "same probe images, same model state of CLIP: CLIP embeddings of the images"),
        ("model state of CLIP: weights of visual", "same concepts: weights of CLIP"),
        ("model state of b: weights of fc", "same input tensor: weights of the model"),
        ("input tensor", "same probe set, same probe images: preprocessing"),
    ],
)
def test_a_dissection_has_steps_of_its_own(stage, told):
    before = (
        "probe set",
        "probe images",
        "label maps",
        "input tensor",
        "concepts",
        "model state of CLIP: weights of visual",
        "model state of b: weights of fc",
        "layer3 activations",
        "b layer3 activations",
        "b layer3 similarity",
    )
    assert str(responsible(stage, dict.fromkeys([name for name in before if name != stage], True))) == told


def test_what_is_not_recorded_is_said():
    assert str(responsible("input tensor", {})) == "nothing that it begins with is recorded: preprocessing"
    poorer = responsible("layer activations", {"input tensor": True})
    assert str(poorer) == "same input tensor, model state not recorded: forward pass of the model"
    assert responsible("something else", {"input tensor": True}) is None


def test_steps_are_told_apart_though_nothing_is_recorded_in_front_of_them():
    named = {
        "model state: hooks": "state of the model",
        "model state of a: weights of fc": "weights of the model",
        "model state of CLIP: hooks": "state of CLIP",
        "model state of CLIP: weights of visual": "weights of CLIP",
        "layer activations": "forward pass of the model",
        "layer4 activations": "forward pass of the model, pooled over places",
    }
    assert {stage: responsible(stage, {}).step for stage in named} == named


def test_one_part_that_is_another_is_enough():
    before = {"input tensor": True, "model state: hooks": True, "model state: weights of fc": False}
    assert responsible("layer activations", before).other == ("model state",)


def test_every_step_says_what_it_begins_with():
    assert all(bool(step.after) != bool(step.given) for step in STEPS)


def results(*stages, moved=None, **provenance):
    """The same chain twice, with other values from the stage `moved` on, and a map that moved."""
    chain = {"image bytes": fingerprint_text("file"), **dict.fromkeys(stages, fingerprint_array(VALUES))}
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
    chain = ("decoded pixels", "input tensor", "logits")
    verdict = judge(*results(*chain, moved="input tensor", versions={"torch": "2.15.0"}))
    began = "The input tensor moved first (relative 0.031); torch 2.11.0 -> 2.15.0 in between; "
    assert verdict.sentence.endswith(f"{began}same image bytes, same decoded pixels: preprocessing.")


def test_without_a_change_the_code_is_what_remains():
    verdict = judge(*results("decoded pixels", "input tensor", moved="input tensor"))
    assert verdict.sentence.endswith(
        "The input tensor moved first (relative 0.031); nothing that is recorded changed in between; "
        "same image bytes, same decoded pixels: preprocessing. Look at the code."
    )


def test_an_image_that_was_compressed_anew_does_not_hide_the_step():
    obtained, golden = results("decoded pixels", "input tensor", moved="input tensor")
    anew = dataclasses.replace(obtained, stages={**obtained.stages, "image bytes": fingerprint_text("another file")})
    assert "; other image bytes, same decoded pixels: preprocessing." in judge(anew, golden).sentence


def test_where_no_stage_moved_the_metrics_are_named():
    verdict = judge(*results("decoded pixels", "logits"))
    assert "The measures moved first; nothing that is recorded changed" in verdict.sentence
    assert "; every recorded stage held: metrics, or how the result is put together." in verdict.sentence


def test_a_golden_without_stages_cannot_tell():
    obtained, golden = results("logits")
    bare = dataclasses.replace(golden, stages={})
    assert "No stage is recorded that could tell where it began; nothing" in judge(obtained, bare).sentence
