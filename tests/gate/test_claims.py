"""Whatever a golden claims about itself, a real drift stays one: limits come from the code and the settings."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import SEEDS, blob, make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Heatmap, HeatmapTolerance, Mask, Score, SignedMap, Table, Weights
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Provenance
from xai_eval.result.stage import Stage, StageKind

LOGITS, SAMPLES, WEIGHTS = Stage(StageKind.LOGITS), Stage(StageKind.SAMPLES), Stage(StageKind.MODEL_WEIGHTS)
OVERLAP = Stage(StageKind.OVERLAP, "layer4")
COUNTED = Stage(StageKind.LABEL_MAPS), *(Stage(k, "layer4") for k in (StageKind.ACTIVATIONS, StageKind.UNIT_MAPS))
MADE = (WEIGHTS, LOGITS, SAMPLES, *COUNTED, OVERLAP)
NUMBERS = np.linspace(-1, 1, 300)
WORDS = st.text("abc123.: ", max_size=12)
CLAIMS = st.builds(
    Provenance,
    digests=st.dictionaries(WORDS, WORDS, max_size=3),
    parameters=st.dictionaries(st.sampled_from(["raised tolerances", "seed", "device"]), st.just({"logits": 1e9})),
    versions=st.dictionaries(st.sampled_from(["numpy", "torch"]) | WORDS, WORDS, max_size=3),
    device=st.sampled_from(["cpu", "cuda", "NVIDIA H100", "mps", "", "CPU "]),
    precision=st.dictionaries(WORDS, st.booleans(), max_size=2),
    seed=st.integers(-(2**40), 2**40),
)


@given(CLAIMS, st.sampled_from([LOGITS, SAMPLES, OVERLAP]), st.sampled_from([0, 7]), st.booleans())
def test_a_stage_that_moved_is_a_drift_whatever_the_golden_claims(claims, stage, seed, weighed):
    made = [stage for stage in MADE if weighed or stage is not WEIGHTS]
    moved = make_result(stages=dict.fromkeys(made, NUMBERS))
    moved = dataclasses.replace(moved, provenance=dataclasses.replace(moved.provenance, seed=seed))
    golden = dataclasses.replace(
        moved, stages={**moved.stages, stage: fingerprint_array(NUMBERS * 1.001)}, provenance=claims
    )
    assert judge(moved, golden).state is State.DRIFT


FRAME = pd.DataFrame({"method": ["a", "b"], "energy": [0.5, 0.4], "hit": [True, False]})
HUGE = st.floats(0, 1e300)


@given(HUGE, st.lists(st.sampled_from(["method", "energy", "hit", "other"]), max_size=4))
def test_a_column_that_changed_is_a_drift_whatever_the_golden_calls_it(tolerance, unjudged):
    changed = FRAME.assign(energy=[0.9, 0.4])
    golden = make_result(fields={"table": Table(FRAME, {"energy": tolerance}, tuple(unjudged))})
    verdict = judge(make_result(fields={"table": Table(changed, {"energy": 0.02})}), golden)
    assert verdict.state is State.DRIFT and {finding.field for finding in verdict.findings} == {"table"}


def test_only_the_code_says_which_column_is_for_reading():
    times = FRAME.assign(energy=[0.9, 0.4])
    golden = make_result(fields={"table": Table(FRAME)}).condensed()
    assert judge(make_result(fields={"table": Table(times, unjudged=("energy",))}), golden).state is State.DRIFT
    other_run = make_result(fields={"table": Table(FRAME, unjudged=("energy",))})
    assert judge(make_result(fields={"table": Table(times, unjudged=("energy",))}), other_run).state is State.OK


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_map_is_compared_at_the_resolution_of_the_code_or_not_at_all(rows, columns):
    spot = blob(30, 30, size=96, width=20)
    result = Heatmap(spot, HeatmapTolerance(0.02))
    claimed = Heatmap(np.full((rows, columns), spot.mean(), np.float16), HeatmapTolerance(1.0), spot.shape)
    assert result.compare(claimed, "map")
    measures = {finding.measure for finding in result.compare(claimed, "map")}
    assert (measures == {"resolution"}) == ((rows, columns) not in ((56, 56), (96, 96)))


@pytest.mark.parametrize("full", [False, True], ids=["condensed", "another run"])
@pytest.mark.parametrize("size", [7, 14, 56, 57, 96, 224])
@pytest.mark.parametrize("kind", [Heatmap, SignedMap])
def test_a_golden_as_the_code_keeps_it_is_compared(kind, size, full):
    spot = blob(size / 2, size / 3, size=size, width=size / 3)
    field = Heatmap(spot, HeatmapTolerance(0.02)) if kind is Heatmap else SignedMap(spot - 0.1)
    assert field.compare(field if full else field.condensed(), "map") == ()
    assert field.condensed().compare(field.condensed(), "map") == ()


@given(st.floats(1.0, 1e6))
def test_a_wide_spread_in_the_golden_loosens_no_limit(factor):
    def weights(first, spread):
        return Weights(("a",), np.array([[first, 1.0]]), np.full((1, 2), spread), SEEDS)

    limit = 0.02
    assert weights(0.2 + 1.01 * limit, 1e-3).compare(weights(0.2, 1e-3 * factor), "w")
    assert weights(0.2 + 0.9 * limit, 1e-3).compare(weights(0.2, 1e-3), "w") == ()


@given(HUGE)
def test_a_number_and_a_mask_are_judged_by_the_tolerance_of_the_result(claimed):
    assert Score(1.2, 0.1).compare(Score(1.0, claimed), "score")
    mask = blob(20, 20, size=64) > 0.5
    assert Mask(mask, 0.9).compare(Mask(np.roll(mask, 20, 0), -claimed), "mask")
