"""A model that is written otherwise is no drift; one that computes something else is, whatever a golden claims."""

import dataclasses

import pytest
from synthetic import make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import Fingerprint, fingerprint_text
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

TYPES = Stage(StageKind.MODULE_TYPES)


def with_stages(**stages):
    made = make_result()
    return dataclasses.replace(made, stages={**stages.get("first", {}), **made.stages, **stages.get("last", {})})


def of_types(text, meaning=""):
    return with_stages(first={TYPES: fingerprint_text(text, meaning)})


def of_blocks(**digests):
    return with_stages(
        first={
            Stage(StageKind.MODEL_WEIGHTS, name.replace("_", ".")): fingerprint_text(d) for name, d in digests.items()
        }
    )


def test_another_way_to_write_it_is_told_and_fails_nothing():
    verdict = judge(of_types("b: OwnBlock", "code of a block"), of_types("b: BasicBlock", "code of a block"))
    assert verdict.state is State.OK and verdict.origin is None
    assert "written otherwise" in verdict.sentence and "module types" in verdict.sentence


@pytest.mark.parametrize(
    ("now", "was"),
    [
        (of_types("b: GELU", "gelu"), of_types("b: ReLU", "relu")),
        (of_types("b: GELU", "gelu"), of_types("b: ReLU")),
        (of_types("b: GELU"), of_types("b: ReLU", "relu")),
        (of_types("b: GELU"), of_types("b: ReLU")),
    ],
)
def test_another_function_fails(now, was):
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
    assert judge(of_blocks(conv1_0="other", fc="head"), of_blocks(conv1="same", fc="head")).state is State.DRIFT


def test_a_meaning_is_stored(tmp_path):
    made = of_types("b: OwnBlock", "code of a block")
    made.save(tmp_path)
    assert Result.load(tmp_path).stages[TYPES] == made.stages[TYPES]
    assert "meaning" not in (of_types("b: OwnBlock").save(tmp_path / "plain") / "result.json").read_text()
