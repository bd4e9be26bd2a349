"""Where a drift began: which stages are named, and which of them tell a drift that no field shows."""

import dataclasses

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Severity
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K
from xai_eval.result.tolerances import with_tolerances
from xai_eval.store.upgrade_policy import Decides, Policy

VALUES = np.linspace(-1.0, 1.0, 300)
WORD = fingerprint_text("as it was")


def results(stage, change, **provenance):
    """The same result twice, but for one stage that moved by a relative change, or is another text."""
    golden = make_result(stages={Stage(K.INPUT_TENSOR): VALUES})
    before = WORD if change is None else fingerprint_array(VALUES)
    after = fingerprint_text("as it is now") if change is None else fingerprint_array(VALUES * (1 + change))
    # On the CPU and the same seed unless said otherwise.
    now = dataclasses.replace(golden.provenance, **provenance)
    return (
        dataclasses.replace(golden, stages={**golden.stages, stage: after}, provenance=now),
        dataclasses.replace(golden, stages={**golden.stages, stage: before}),
    )


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        (Stage(K.DECODED_PIXELS), 1e-6),
        (Stage(K.INPUT_TENSOR), 2e-4),
        (Stage(K.VIEW), 2e-4),
        (Stage(K.HOOKS), None),
        (Stage(K.LAYER_ACTIVATIONS), 1e-3),
        (Stage(K.LOGITS), 1e-3),
        (Stage(K.SEGMENTS), 1e-6),
        (Stage(K.SAMPLES), 1e-6),
        (Stage(K.PERTURBED_PREDICTIONS), 1e-3),
        (Stage(K.PERTURBED_PREDICTIONS, "felzenszwalb"), 1e-3),
        (Stage(K.WEIGHTS), 1e-3),
        (Stage(K.WEIGHTS, "other classes"), 1e-3),
        (Stage(K.SURROGATES), 1e-3),
        (Stage(K.CONCEPT_MASKS), 1e-6),
        (Stage(K.RAW_MAP, "gradcam"), 1e-3),
        (Stage(K.RAW_MAP, "ablationcam"), 4e-3),
        (Stage(K.FINAL_MAP, "several_scales"), 1e-3),
        (Stage(K.SIMILARITY, "layer4"), 1e-3),
        (Stage(K.OVERLAP, "layer4"), 3e-2),
        (Stage(K.ACTIVATIONS, "layer4", "scenes:objects"), 1e-3),
    ],
)
def test_a_stage_that_moved_is_a_drift_though_every_field_held(stage, change):
    verdict = judge(*results(stage, change))
    assert verdict.state is State.DRIFT and verdict.severity is Severity.NUMBERS
    assert verdict.origin.stage == stage
    assert verdict.findings[0].measure == str(stage)


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        (Stage(K.INPUT_TENSOR), 1e-6),
        (Stage(K.LAYER_ACTIVATIONS), 3e-5),
        (Stage(K.LOGITS), 3e-5),
        (Stage(K.WEIGHTS), 3e-5),
        (Stage(K.RAW_MAP, "gradcam"), 3e-5),
        (Stage(K.RAW_MAP, "ablationcam"), 1e-3),
        (Stage(K.FINAL_MAP, "lime"), 3e-5),
        (Stage(K.SIMILARITY, "layer4"), 3e-5),
        (Stage(K.OVERLAP, "layer4"), 3e-3),
    ],
)
def test_rounding_is_no_drift_and_has_no_name(stage, change):
    verdict = judge(*results(stage, change))
    assert verdict.state is State.OK and verdict.origin is None


@pytest.mark.parametrize("stage", [Stage(K.TARGET), Stage(K.LABELS_BY_CLIP), Stage(K.TOP_IMAGES, "layer4")])
def test_what_fields_judge_better_is_named_only(stage):
    verdict = judge(*results(stage, None))
    assert verdict.state is State.OK and verdict.origin.stage == stage


@pytest.mark.parametrize(
    "stage", [Stage(K.SAMPLES), Stage(K.PERTURBED_PREDICTIONS), Stage(K.WEIGHTS), Stage(K.RAW_MAP, "randomcam")]
)
def test_what_is_drawn_may_differ_under_another_seed_if_the_user_says_so(stage):
    policy = Policy(seed=Decides.EXPLANATION)
    assert judge(*results(stage, 0.5, seed=7), policy).state is State.OK
    assert judge(*results(stage, 0.5), policy).state is State.DRIFT
    verdict = judge(*results(stage, 0.5, seed=7))
    assert verdict.state is State.DRIFT and "seed 0 -> 7" in verdict.sentence


@pytest.mark.parametrize(
    ("stage", "change", "state"),
    [
        (Stage(K.LAYER_ACTIVATIONS), 1e-2, State.OK),
        (Stage(K.LAYER_ACTIVATIONS), 5e-2, State.DRIFT),
        (Stage(K.RAW_MAP, "gradcam"), 5e-2, State.OK),
        (Stage(K.PERTURBED_PREDICTIONS), 5e-2, State.OK),
        (Stage(K.INPUT_TENSOR), 1e-3, State.DRIFT),
        (Stage(K.DECODED_PIXELS), 1e-3, State.DRIFT),
    ],
)
def test_between_devices_the_network_may_round_but_its_input_may_not(stage, change, state):
    assert judge(*results(stage, change, device="NVIDIA H100")).state is state


OWN = Stage(OwnKind("attention rollout"), "layer4")


@pytest.mark.parametrize(
    ("change", "device", "state"),
    [
        (1e-3, "cpu", State.OK),
        (4e-3, "cpu", State.DRIFT),
        (None, "cpu", State.DRIFT),
        (1e-2, "NVIDIA H100", State.OK),
        (5e-2, "NVIDIA H100", State.DRIFT),
    ],
)
def test_a_kind_that_only_the_task_of_a_user_has_is_judged_by_default_limits(change, device, state):
    verdict = judge(*results(OWN, change, device=device))
    assert verdict.state is state
    if state is State.DRIFT:
        assert verdict.origin.stage == OWN and str(OWN) == "attention rollout of layer4"
        assert str(verdict.origin.responsible).endswith(" Responsible step: a step of the task's own.")


def test_what_a_block_of_the_model_is_called_silences_nothing():
    """A block may be called as a stage is that never alarms."""
    for name in ("target", "labels", "top images"):
        assert judge(*results(Stage(K.MODEL_WEIGHTS, name), None)).state is State.DRIFT


def test_a_golden_that_lacks_a_stage_still_compares():
    obtained, golden = results(Stage(K.VIEW), 0.5)
    older = dataclasses.replace(golden, stages={k: v for k, v in golden.stages.items() if k.kind != K.VIEW})
    assert judge(obtained, older).state is State.OK


def test_a_stage_that_is_gone_has_moved():
    obtained, golden = results(Stage(K.VIEW), 0.0)
    poorer = dataclasses.replace(obtained, stages={k: v for k, v in obtained.stages.items() if k.kind != K.VIEW})
    verdict = judge(poorer, golden)
    assert verdict.state is State.DRIFT and verdict.origin.stage == Stage(K.VIEW)


def test_where_all_stages_held_what_is_measured_changed():
    golden = make_result(stages={Stage(K.FINAL_MAP, "gradcam"): VALUES})
    obtained = make_result(saliency=blob(150, 40), stages={Stage(K.FINAL_MAP, "gradcam"): VALUES})
    verdict = judge(obtained, golden)
    assert verdict.state is State.DRIFT and verdict.origin.stage == Stage(K.MEASURES)
    assert "No recorded stage changed. Responsible step: metrics" in verdict.sentence


def test_a_case_that_cannot_be_compared_says_where_it_began():
    obtained = make_result(image="d" * 64, stages={Stage(K.DECODED_PIXELS): np.arange(12.0) + 1})
    verdict = judge(obtained, make_result())
    assert verdict.state is State.INCOMPARABLE and verdict.origin.stage == Stage(K.IMAGE_BYTES)


def test_a_stage_that_must_be_the_same_alarms_also_where_only_its_digest_tells():
    weights = Stage(K.MODEL_WEIGHTS, "conv1")
    was = np.ones(5000, np.float32)
    now = was.copy()
    now[7] = np.nextafter(np.float32(1), np.float32(2))
    golden, obtained = (make_result(stages={weights: each}) for each in (was, now))
    assert judge(obtained, golden).state is State.DRIFT
    logits = Stage(K.LOGITS)
    golden, obtained = (make_result(stages={logits: each}) for each in (was, now))
    assert judge(obtained, golden).sentence == "The explanation matches its golden."


OF_GRADCAM = [Stage(K.RAW_MAP, "gradcam"), Stage(K.FINAL_MAP, "gradcam")]


@pytest.mark.parametrize("stage", OF_GRADCAM)
def test_the_own_stages_of_a_field_whose_tolerance_was_raised_are_judged_by_the_field(stage):
    obtained, golden = results(stage, 0.1)
    assert judge(obtained, golden).state is State.DRIFT
    assert judge(with_tolerances(obtained, {"gradcam": {"largest": 0.2}}), golden).state is State.OK
    # Lowering it, or raising that of another field, changes nothing.
    assert judge(with_tolerances(obtained, {"gradcam": {"largest": 0.001}}), golden).state is State.DRIFT
    other = dataclasses.replace(obtained, fields={**obtained.fields, "other": obtained["gradcam"]})
    assert judge(with_tolerances(other, {"other": {"largest": 0.2}}), golden).state is State.DRIFT


@pytest.mark.parametrize("kind", [K.INPUT_TENSOR, K.LAYER_ACTIVATIONS, K.LOGITS])
def test_a_raised_tolerance_excuses_no_earlier_stage(kind):
    obtained, golden = results(Stage(kind), 0.1)
    assert judge(with_tolerances(obtained, {"gradcam": {"largest": 0.2}}), golden).state is State.DRIFT


@pytest.mark.parametrize(("kind", "before"), [(K.PROBABILITIES, K.LOGITS), (K.SIGNED_MAP, K.ATTRIBUTION)])
def test_what_follows_from_equal_stages_alone_moves_by_rounding_alone(kind, before):
    """Where logits moved by rounding, probabilities may move more; where they are the same, other code made them."""
    rng, made = np.random.default_rng(0), Stage(kind, "saliency" if kind is K.SIGNED_MAP else "")
    array, moved = rng.normal(size=4000), Stage(before, made.of)

    def judged(of_before, of_made):
        stages = {moved: fingerprint_array(array * (1 + of_before)), made: fingerprint_array(array * (1 + of_made))}
        return dataclasses.replace(results(made, 0.0)[0], stages=stages)

    golden = judged(0.0, 0.0).condensed()
    assert judge(judged(0.0, 3e-3), golden).state is State.DRIFT
    assert judge(judged(0.0, 1e-6), golden).state is State.OK
    assert judge(judged(1e-5, 3e-3), golden).state is State.OK
