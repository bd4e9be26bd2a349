"""Whatever a golden records alarms when it changes, but for the few stages that fields judge better."""

import dataclasses
from pathlib import Path

import pytest

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Result
from xai_eval.result.stage import StageKind

GOLDENS = sorted(path.parent for path in (Path(__file__).parents[2] / "golden").rglob("result.json"))
NAMED_ONLY = {
    StageKind.IMAGE_BYTES,
    StageKind.TARGET,
    StageKind.LABELS_BY_CLIP,
    StageKind.LABELS_BY_PIXELS,
    StageKind.TOP_IMAGES,
}
# How a model is written says nothing if it answers as before.
WRITTEN = {
    StageKind.MODULE_TYPES: (StageKind.LOGITS, StageKind.LAYER_ACTIVATIONS, StageKind.ACTIVATIONS),
    StageKind.CLIP_MODULE_TYPES: (StageKind.EMBEDDINGS,),
}


@pytest.mark.parametrize("folder", GOLDENS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_stage_has_a_row_and_all_but_those_alarm(folder):
    golden = Result.load(folder)
    assert [stage for stage in golden.stages if stage.kind not in list(StageKind)] == []
    silent = {stage for stage in golden.stages if judge(changed(golden, stage), golden).state is State.OK}
    assert silent == {stage for stage in golden.stages if stage.kind in {*NAMED_ONLY, *WRITTEN}}


@pytest.mark.parametrize("folder", GOLDENS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_model_that_is_written_otherwise_and_answers_otherwise_alarms_and_is_placed_there(folder):
    golden = Result.load(folder)
    for stage in (each for each in golden.stages if each.kind in WRITTEN):
        answers = [each for each in golden.stages if each.kind in WRITTEN[stage.kind] and each.model == stage.model]
        assert answers
        verdict = judge(changed(changed(golden, stage), answers[0]), golden)
        assert verdict.failed and verdict.origin.stage == stage


def changed(golden, stage):
    """The golden's result with one stage that is another altogether."""
    return dataclasses.replace(golden, stages={**golden.stages, stage: fingerprint_text("another")})
