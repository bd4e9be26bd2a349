"""Whatever a golden records alarms when it changes, but for the few stages that fields judge better."""

import dataclasses
from pathlib import Path

import pytest

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Result

GOLDENS = sorted(path.parent for path in (Path(__file__).parents[2] / "golden").rglob("result.json"))
NAMED_ONLY = ("image bytes", "target", "clip_units labels", "pixel_units labels", "top images")


@pytest.mark.parametrize("folder", GOLDENS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_stage_but_those_alarms(folder):
    golden = Result.load(folder)
    silent = {stage for stage in golden.stages if judge(changed(golden, stage), golden).state is State.OK}
    assert silent == {stage for stage in golden.stages if stage.endswith(NAMED_ONLY)}


def changed(golden, stage):
    """The golden's result with one stage that is another altogether."""
    return dataclasses.replace(golden, stages={**golden.stages, stage: fingerprint_text("another")})
