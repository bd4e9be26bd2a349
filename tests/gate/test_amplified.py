"""A stage that amplifies rounding may move more, as far as the run measured it, and never beyond the cap."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.stage_table import ON_CPU
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import MOST_AMPLIFIED, fingerprint_array
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

RAW = Stage(StageKind.RAW_MAP, "xgradcam")
MAP = np.ones(64)


def of(change, amplification=1.0):
    made = make_result()
    return dataclasses.replace(made, stages={**made.stages, RAW: fingerprint_array(MAP * (1 + change), amplification)})


def state(change, now, was=1.0):
    return judge(of(change, now), of(0.0, was)).state


@given(st.floats(1.0, 1e6), st.floats(0.1, 200.0))
def test_the_limit_grows_with_the_amplification_up_to_the_cap(amplification, times):
    most = min(amplification, MOST_AMPLIFIED)
    if abs(times / most - 1.0) > 0.01:
        expected = State.OK if times < most else State.DRIFT
        assert state(times * ON_CPU, amplification) is expected


@pytest.mark.parametrize("claimed", [50.0, 1e9, float("inf"), float("nan")])
def test_what_a_golden_claims_widens_nothing(claimed):
    assert state(3 * ON_CPU, now=1.0, was=claimed) is State.DRIFT


@pytest.mark.parametrize("measured", [0.0, -5.0, float("inf"), float("nan")])
def test_a_number_that_is_no_amplification_widens_nothing(measured):
    assert state(3 * ON_CPU, now=measured) is State.DRIFT


def test_it_is_stored(tmp_path):
    of(0.0, 7.5).save(tmp_path)
    assert Result.load(tmp_path).stages[RAW].amplification == 7.5
