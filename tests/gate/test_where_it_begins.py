"""Where a change begins, by the measured noise of the stages, and how far the stages before it moved."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import blob, make_result

from xai_eval import judge
from xai_eval.gate.movement import AMPLIFIED, LEAST_SHARE, Movement, share
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K
from xai_eval.store.noise import Noise

VALUES = np.linspace(-1.0, 1.0, 300)
INPUT, ACTIVATIONS, LOGITS = Stage(K.INPUT_TENSOR), Stage(K.LAYER_ACTIVATIONS), Stage(K.LOGITS)
CHAIN = (INPUT, Stage(K.HOOKS), ACTIVATIONS, LOGITS)


def results(**changes):
    """Return the same result twice, with stages that moved by these relative changes, and with another map."""
    moved = {stage: changes.get(stage.kind.split()[-1], 0.0) for stage in CHAIN}
    golden = dataclasses.replace(make_result(), stages={stage: fingerprint_array(VALUES) for stage in CHAIN})
    stages = {stage: fingerprint_array(VALUES * (1 + change)) for stage, change in moved.items()}
    saliency = blob(150, 40) if changes.get("drifted", True) else None
    return dataclasses.replace(make_result(saliency=saliency), stages=stages), golden


def noise(value=1e-6):
    return Noise("golden", {}, stages={stage: {"2 threads": value} for stage in CHAIN})


def test_what_moved_below_its_limit_is_not_called_unchanged():
    told = judge(*results(activations=1.8e-5, logits=6e-4)).sentence
    assert "The change begins at the logits (changed by 0.06 %; its limit is 0.02 %)." in told
    assert "Before it, layer activations moved by 0.0018 %, below its limit of 0.02 %." in told
    assert "Unchanged before it: model state. Responsible" in told
    assert "Unchanged before it: layer activations, model state." in judge(*results(logits=6e-4)).sentence


def test_the_first_stage_beyond_its_noise_is_named_with_the_first_beyond_its_limit():
    verdict = judge(*results(activations=1.8e-4, logits=6e-4), noise=noise())
    assert verdict.origin.stage == ACTIVATIONS and verdict.origin.exceeds.stage == LOGITS
    assert (
        "The change begins at the layer activations (changed by 0.018 %, above its measured noise "
        "of 0.0001 %) and "
        "exceeds its limit first at the logits (changed by 0.06 %; its limit is 0.02 %). "
        "Unchanged before it: input tensor, model state. "
        "Responsible step: forward pass of the model."
    ) in verdict.sentence


def test_noise_explains_nothing_that_later_steps_cannot_have_amplified():
    verdict = judge(*results(activations=3e-6, logits=0.5), noise=noise())
    assert verdict.origin.stage == LOGITS
    assert "layer activations moved by 0.0003 %, above its measured noise of 0.0001 %, below its limit of 0.02 %" in (
        verdict.sentence
    )


def test_where_only_fields_drifted_a_stage_beyond_its_noise_may_be_the_beginning():
    verdict = judge(*results(activations=1.8e-4), noise=noise())
    assert verdict.origin.stage == ACTIVATIONS and verdict.origin.exceeds is None
    assert "above its measured noise of 0.0001 %); no stage moved beyond its limit. Unchanged" in verdict.sentence


def test_without_noise_the_measures_are_responsible_and_nothing_is_called_the_same():
    told = judge(*results(activations=1.8e-5)).sentence
    assert "No recorded stage moved beyond its limit; the layer activations moved by 0.0018 %, below its limit" in told
    assert "Responsible step: metrics" in told and "No recorded stage changed" not in told


def test_without_noise_the_first_stage_beyond_what_a_cpu_usually_does_is_named():
    verdict = judge(*results(activations=1.8e-4, logits=6e-4))
    assert verdict.origin.stage == ACTIVATIONS and verdict.origin.exceeds.stage == LOGITS
    assert "layer activations (changed by 0.018 %, above its usual noise of 0.002 %)" in verdict.sentence
    on_gpu = [
        dataclasses.replace(each, provenance=dataclasses.replace(each.provenance, device="cuda"))
        for each in results(activations=1.8e-3, logits=6e-3)
    ]
    assert judge(*on_gpu).origin.stage == LOGITS


def test_noise_names_nothing_where_the_case_holds():
    verdict = judge(*results(activations=1.8e-4, drifted=False), noise=noise())
    assert verdict.state is State.OK and verdict.origin is None


@given(
    change=st.floats(0.0, 1.0),
    measured=st.floats(allow_nan=True, allow_infinity=True),
    limit=st.sampled_from([0.0, 5e-5, 2e-4]),
)
def test_measured_noise_never_widens_a_limit(change, measured, limit):
    if Movement(change, limit).beyond_noise:
        assert Movement(change, limit, measured).beyond_noise
    assert Movement(change, limit, measured).beyond_limit == (change > limit)
    assert not Movement(0.0, limit, measured).beyond_noise


@settings(max_examples=25)
@given(activations=st.floats(1e-7, 1e-2), logits=st.floats(1e-7, 1e-2), measured=st.floats(1e-9, 1e3))
def test_the_state_does_not_depend_on_noise_and_the_origin_is_beyond_its_own(activations, logits, measured):
    pair = results(activations=activations, logits=logits)
    plain, told = judge(*pair), judge(*pair, noise=noise(measured))
    assert plain.state is told.state and plain.findings == told.findings
    if told.origin.stage.kind != K.MEASURES and told.origin.noise is not None:
        least = min(max(measured, LEAST_SHARE * 2e-4), 2e-4)
        assert told.origin.change > least and told.origin.change * AMPLIFIED**2 >= min(2e-4, logits)
        order = [*CHAIN, plain.origin.stage]
        assert order.index(told.origin.stage) <= order.index(plain.origin.stage)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.8e-4, "0.018 %"), (2e-7, "0.00002 %"), (0.031, "3.1 %"), (12.34, "1200 %"), (0.0, "0 %"), (math.inf, "inf %")],
)
def test_shares_are_written_as_people_do(value, text):
    assert share(value) == text
