"""A model that counts its passes, and answers as before, explains as before."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic import make_result

from xai_eval import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Document
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage, StageKind

LOGITS, VALUES = Stage(StageKind.LOGITS), np.linspace(3.0, -1.0, 5)


def told(changed: str, logits: np.ndarray | None = VALUES):
    result = make_result(fields={"model": Document({"output": "logits", "changed by a pass": changed})})
    stages = {stage: each for stage, each in result.stages.items() if stage != LOGITS}
    own = {} if logits is None else {LOGITS: fingerprint_array(logits)}
    return dataclasses.replace(result, stages={**stages, **own})


@pytest.mark.parametrize(("before", "now"), [("nothing", "passes"), ("passes", "nothing"), ("passes", "calls, seen")])
def test_what_a_pass_changes_is_no_finding_if_the_answers_are_the_same(before, now):
    assert judge(told(now), told(before)).state is State.OK


@pytest.mark.parametrize("logits", [VALUES * 1.1, None])
def test_it_is_one_if_the_answers_moved_or_are_not_known(logits):
    verdict = judge(told("passes", logits), told("nothing", None if logits is None else VALUES))
    assert verdict.state is State.DRIFT and "model" in {each.field for each in verdict.findings}
