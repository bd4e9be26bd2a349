"""A step that begins to round to half precision is a drift, where it begins, however little it changes."""

import dataclasses

import numpy as np
import pytest
import torch
from synthetic import blob, make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.pytest_plugin.bare_result import _stages
from xai_eval.result.fields import SignedMap
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind

RAW = Stage(StageKind.ATTRIBUTION, "mine")
TYPES = {"bfloat16": (torch.bfloat16, 8), "float16": (torch.float16, 11)}


def half(array, name):
    return torch.from_numpy(array).to(TYPES[name][0]).float().numpy()


def mine(raw):
    return make_result(stages={RAW: raw})


def earlier(result):
    """The golden as an earlier version recorded it."""
    stages = {stage: dataclasses.replace(each, bits=0) for stage, each in result.stages.items()}
    return dataclasses.replace(result, stages=stages).condensed()


@pytest.mark.parametrize("name", TYPES)
def test_a_map_that_is_rounded_on_the_way_is_a_drift_that_names_where_it_begins(tmp_path, name):
    raw = np.random.default_rng(0).normal(size=(224, 224)).astype(np.float32)
    golden = mine(raw).condensed()
    golden.save(tmp_path)
    verdict = judge(mine(half(raw, name)), Result.load(tmp_path))
    assert verdict.state is State.DRIFT and verdict.origin.stage == RAW
    assert f"rounded to {TYPES[name][1]} significant bits now, as {name} has them" in verdict.sentence
    again = mine(half(raw, name))
    assert judge(again, again.condensed()).state is State.OK
    moved = half(raw * np.float32(1 + 1e-5), name)
    assert judge(mine(moved), again.condensed()).state is State.OK, "both are rounded"
    assert judge(mine(raw), again.condensed()).state is State.OK, "a finer map is no worse"


def test_an_earlier_golden_of_a_small_map_shows_it_and_one_of_a_large_map_does_not():
    for side, state in ((7, State.DRIFT), (224, State.OK)):
        raw = np.random.default_rng(side).normal(size=(side, side)).astype(np.float32)
        assert judge(mine(half(raw, "bfloat16")), earlier(mine(raw))).state is state
        assert judge(mine(half(raw, "bfloat16")), earlier(mine(half(raw, "bfloat16")))).state is State.OK


def test_a_value_of_a_test_that_is_rounded_is_a_drift():
    def checked(array):
        fields = {"map": SignedMap(array)}
        return Result(Case("values", "", "pytest/test/map"), fields, _stages(fields))

    whole = blob(80, 120)
    assert judge(checked(half(whole, "bfloat16")), checked(whole).condensed()).state is State.DRIFT


@pytest.mark.parametrize(
    "values", [np.zeros((9, 9)), np.eye(9), np.arange(81.0).reshape(9, 9) / 64], ids=["zeros", "mask", "steps"]
)
def test_a_map_of_few_values_is_not_called_rounded(values):
    slightly = values.astype(np.float32) * np.float32(1 + 2e-6)
    assert "significant bits" not in judge(mine(values.astype(np.float32)), mine(slightly).condensed()).sentence
