"""Whole numbers that the same libraries make of equal stages must be equal; rounding before them may move them."""

import dataclasses

import numpy as np
import pytest
from synthetic import make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K

MAPS, OVERLAP = Stage(K.UNIT_MAPS, "layer4"), Stage(K.OVERLAP, "layer4")
BEFORE = {Stage(K.LABEL_MAPS): np.arange(9), Stage(K.ACTIVATIONS, "layer4"): np.arange(8.0), MAPS: np.arange(1.0, 9.0)}
IOU = np.linspace(0.1, 0.9, 50)
GOLDEN = make_result(stages={**BEFORE, OVERLAP: IOU})


def moved(change: float, maps: float = 0.0, **provenance: object):
    stages = {MAPS: fingerprint_array(BEFORE[MAPS] * (1 + maps)), OVERLAP: fingerprint_array(IOU * (1 + change))}
    result = dataclasses.replace(GOLDEN, stages={**GOLDEN.stages, **stages})
    return dataclasses.replace(result, provenance=dataclasses.replace(GOLDEN.provenance, **provenance))


@pytest.mark.parametrize("change", [1e-6, 1e-3])
@pytest.mark.parametrize("versions", [{}, {"torch": "2.15.0"}, {"torch": "2.11.0", "numpy": "3.0"}, {"numpy": "1"}])
def test_another_count_of_the_same_maps_is_found_and_placed_whatever_versions_the_golden_claims(change, versions):
    verdict = judge(moved(change, versions=versions), GOLDEN)
    assert verdict.state is State.DRIFT
    assert verdict.origin is not None and verdict.origin.stage == OVERLAP


@pytest.mark.parametrize(
    "result",
    [
        moved(1e-3, maps=1e-6),
        moved(1e-3, device="NVIDIA H100"),
    ],
    ids=["rounding before it", "on a GPU"],
)
def test_what_rounding_may_do_to_counts_is_no_drift(result):
    assert judge(result, GOLDEN).state is State.OK


def test_a_golden_without_the_maps_is_judged_by_the_usual_limit():
    older = dataclasses.replace(GOLDEN, stages={name: each for name, each in GOLDEN.stages.items() if name != MAPS})
    assert judge(moved(1e-3), older).state is State.OK
    assert judge(moved(2e-2), older).state is State.DRIFT


def test_maps_that_are_mirrored_are_placed_at_the_maps():
    verdict = judge(moved(0.3, maps=1.0), GOLDEN)
    assert verdict.origin is not None and verdict.origin.stage == MAPS
    assert "place by place" in verdict.origin.sentence
