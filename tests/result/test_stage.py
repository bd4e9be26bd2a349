"""Stages are records: their kinds are known or declared, and what is stored is what was named."""

import dataclasses

import pytest
from synthetic import make_result

from xai_eval.errors import UsageError
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Result
from xai_eval.result.stage import OwnKind, Stage, StageKind

STAGES = {
    Stage(StageKind.LOGITS): ("logits", {"kind": "logits"}),
    Stage(StageKind.RAW_MAP, "gradcam"): ("raw map of gradcam", {"kind": "raw map", "of": "gradcam"}),
    Stage(StageKind.HOOKS, model="a:b"): ("hooks in a:b", {"kind": "hooks", "model": "a:b"}),
    Stage(StageKind.OVERLAP, "layer4", "a:b"): (
        "overlap of layer4 in a:b",
        {"kind": "overlap", "of": "layer4", "model": "a:b"},
    ),
    Stage(OwnKind("attention rollout"), "layer4"): (
        "attention rollout of layer4",
        {"kind": "attention rollout", "of": "layer4"},
    ),
}


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_stage_has_words_and_values_to_store(stage):
    assert (str(stage), stage.document) == STAGES[stage]
    assert Stage.restored({**stage.document, "digest": "a"}) == stage


@pytest.mark.parametrize("kind", ["logitz", "logits"])
def test_a_kind_is_no_plain_text(kind):
    with pytest.raises(UsageError, match=rf"unknown kind of stage '{kind}'\. Did you mean logits.*OwnKind"):
        Stage(kind)


def test_a_kind_of_a_task_has_a_name():
    with pytest.raises(UsageError, match="unknown kind of stage ''"):
        Stage(OwnKind(""))


def test_a_kind_that_becomes_known_later_is_the_same_stage():
    """Of a task whose own kind this package takes over: its goldens stay."""
    assert {Stage(OwnKind("logits")): 1} == {Stage(StageKind.LOGITS): 1}


def test_a_result_refuses_stages_that_are_plain_texts():
    with pytest.raises(UsageError, match=r"cams/.*a stage is named 'logits'; expected a Stage.*OwnKind\('logits'\)"):
        dataclasses.replace(make_result(), stages={"logits": fingerprint_text("a")})


def test_stages_are_stored_with_a_kind_of_their_own_among_them(tmp_path):
    stages = {stage: fingerprint_text(str(stage)) for stage in STAGES}
    made = dataclasses.replace(make_result(), stages=stages)
    loaded = Result.load(made.save(tmp_path))
    assert list(loaded.stages.items()) == list(stages.items())
    assert isinstance(list(loaded.stages)[-1].kind, OwnKind)
