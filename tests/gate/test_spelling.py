"""A model that is written otherwise is no drift; one that computes something else is, whatever a golden claims."""

import dataclasses

import numpy as np
import pytest
from synthetic import make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

TYPES = Stage(StageKind.MODULE_TYPES)
LOGITS = Stage(StageKind.LOGITS)
LAYER = Stage(StageKind.LAYER_ACTIVATIONS)
SLIGHTLY, AS_ROUNDING = 1e-5, 5e-7


def with_stages(**stages):
    made = make_result()
    return dataclasses.replace(made, stages={**stages.get("first", {}), **made.stages, **stages.get("last", {})})


def of_types(text, meaning="", moved=0.0):
    """A result with a text about its modules, whose logits moved by a relative change."""
    logits = fingerprint_array(np.linspace(-1, 3, 10) * (1 + moved))
    return with_stages(first={TYPES: fingerprint_text(text, meaning)}, last={LOGITS: logits})


def of_blocks(**digests):
    blocks = {
        Stage(StageKind.MODEL_WEIGHTS, name.replace("_", ".")): fingerprint_text(d) for name, d in digests.items()
    }
    return with_stages(first={TYPES: fingerprint_text("net: Net"), **blocks})


def test_another_way_to_write_it_is_told_and_fails_nothing():
    verdict = judge(of_types("b: OwnBlock", "code of a block"), of_types("b: BasicBlock", "code of a block"))
    assert verdict.state is State.OK and verdict.origin is None
    assert "written otherwise" in verdict.sentence and "module types" in verdict.sentence


@pytest.mark.parametrize(
    ("now", "was"),
    [
        (of_types("b: GELU", "gelu", SLIGHTLY), of_types("b: ReLU", "relu")),
        (of_types("b: GELU", "gelu", SLIGHTLY), of_types("b: ReLU")),
        (of_types("b: GELU", moved=SLIGHTLY), of_types("b: ReLU", "relu")),
        (of_types("b: GELU", moved=SLIGHTLY), of_types("b: ReLU")),
    ],
)
def test_another_function_fails(now, was):
    """Also if its answers moved by far less than their limit of 2e-4."""
    verdict = judge(now, was)
    assert verdict.state is State.DRIFT and verdict.origin.stage == TYPES


def test_a_golden_from_before_meanings_were_kept_holds():
    now, was = of_types("b: BasicBlock", "code of a block"), of_types("b: BasicBlock")
    assert judge(now, was).sentence == judge(was, was).sentence


def test_two_stages_without_a_meaning_do_not_share_it():
    assert Fingerprint("a").distance(Fingerprint("b")) == float("inf")


def test_weights_of_a_block_are_found_under_another_name():
    verdict = judge(of_blocks(conv1_0="same", fc="head"), of_blocks(conv1="same", fc="head"))
    assert verdict.state is State.OK and "written otherwise" in verdict.sentence
    other = of_blocks(conv1_0="other", fc="head")
    other = dataclasses.replace(other, stages={**other.stages, LOGITS: of_types("", moved=SLIGHTLY).stages[LOGITS]})
    assert judge(other, of_blocks(conv1="same", fc="head")).state is State.DRIFT


def test_a_meaning_is_stored(tmp_path):
    made = of_types("b: OwnBlock", "code of a block")
    made.save(tmp_path)
    assert Result.load(tmp_path).stages[TYPES] == made.stages[TYPES]
    assert "meaning" not in (of_types("b: OwnBlock").save(tmp_path / "plain") / "result.json").read_text()


@pytest.mark.parametrize("moved", [0.0, AS_ROUNDING])
def test_another_code_with_the_same_answers_is_told_and_fails_nothing(moved):
    verdict = judge(of_types("b: Functional", "other code", moved), of_types("b: BasicBlock", "code of a block"))
    assert verdict.state is State.OK and "written otherwise" in verdict.sentence and "module types" in verdict.sentence


@pytest.mark.parametrize("kind", [StageKind.RAW_MAP, StageKind.ATTRIBUTION])
def test_another_gradient_behind_the_same_answers_fails_at_the_types(kind):
    def made(text, factor):
        stage = fingerprint_array(np.linspace(0, 1, 50) * factor)
        return with_stages(first={TYPES: fingerprint_text(text)}, last={Stage(kind, "gradcam"): stage})

    verdict = judge(made("b: Other", 1.1), made("b: ReLU", 1.0))
    assert verdict.state is State.DRIFT and verdict.origin.stage == TYPES


def test_without_answers_the_text_decides():
    def made(text):
        result = of_types(text)
        return dataclasses.replace(result, stages={k: v for k, v in result.stages.items() if k.kind != "logits"})

    assert judge(made("b: Functional"), made("b: ReLU")).state is State.DRIFT


def test_other_blocks_of_weights_with_the_same_answers_are_told():
    verdict = judge(of_blocks(layer4="both", fc="head"), of_blocks(layer4_0="one", layer4_1="two", fc="head"))
    assert verdict.state is State.OK and not verdict.unwatched
    assert 'model weights of the block "layer4.0" and 1 more' in verdict.sentence


def test_other_weights_of_a_block_of_the_same_name_fail_whatever_the_answers():
    verdict = judge(of_blocks(layer4="both", fc="other"), of_blocks(layer4_0="one", layer4_1="two", fc="head"))
    assert verdict.state is State.DRIFT and str(verdict.origin.stage) == "model weights of fc"


@pytest.mark.parametrize("moved", [0.0, AS_ROUNDING, SLIGHTLY])
def test_a_layer_of_another_name_is_the_same_if_it_gives_the_same(moved):
    def made(layer, factor):
        result = make_result(params={"layer": layer})
        return dataclasses.replace(
            result, stages={LAYER: fingerprint_array(np.linspace(0, 1, 50) * factor), **result.stages}
        )

    verdict = judge(made("features.7.1", 1 + moved), made("layer4.1", 1.0))
    assert verdict.state is (State.INCOMPARABLE if moved == SLIGHTLY else State.OK)
    assert moved == SLIGHTLY or "layer layer4.1 is now called features.7.1" in verdict.sentence


@pytest.mark.parametrize("moved", [0.0, AS_ROUNDING])
def test_a_block_in_another_order_is_told_if_every_bit_of_the_answers_is_the_same(moved):
    def made(types, digest, moved=0.0):
        block = {Stage(StageKind.MODEL_WEIGHTS, "layer4"): fingerprint_text(digest)}
        logits = {LOGITS: fingerprint_array(np.linspace(-1, 3, 10) * (1 + moved))}
        return with_stages(first={TYPES: fingerprint_text(types), **block}, last=logits)

    verdict = judge(made("b, a", "bias, weight", moved), made("a, b", "weight, bias"))
    assert verdict.state is (State.DRIFT if moved else State.OK)
    assert judge(made("a, b", "bias, weight"), made("a, b", "weight, bias")).state is State.DRIFT


def test_blocks_that_only_changed_names_among_each_other_are_told():
    """As where something without weights is put between two blocks of a stage, so that the second has a new number."""
    verdict = judge(of_blocks(layer4_1="one", layer4_3="two"), of_blocks(layer4_0="one", layer4_1="two"))
    assert verdict.state is State.OK and not verdict.unwatched and "written otherwise" in verdict.sentence


@pytest.mark.parametrize(
    ("now", "was"),
    [
        # Another block has the old weights, but nobody had the new ones before.
        (of_blocks(layer4_1="new", layer4_3="two"), of_blocks(layer4_0="one", layer4_1="two")),
        # The new weights were there before, but the old ones are gone.
        (of_blocks(layer4_0="one", layer4_1="one"), of_blocks(layer4_0="one", layer4_1="two")),
    ],
)
def test_blocks_with_weights_that_come_or_go_fail_whatever_the_answers(now, was):
    verdict = judge(now, was)
    assert verdict.state is State.DRIFT and str(verdict.origin.stage) == "model weights of layer4.1"


@pytest.mark.parametrize("moved", [0.0, AS_ROUNDING, SLIGHTLY])
def test_blocks_that_changed_places_fail_if_the_answers_moved(moved):
    logits = {LOGITS: of_types("", moved=moved).stages[LOGITS]}
    now = of_blocks(layer1_0="two", layer1_1="one")
    now = dataclasses.replace(now, stages={**now.stages, **logits})
    verdict = judge(now, of_blocks(layer1_0="one", layer1_1="two"))
    assert verdict.state is (State.DRIFT if moved == SLIGHTLY else State.OK)
