"""The noise of a case is measured: it is the difference that benign changes make to its results."""

import dataclasses

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval import load_model
from xai_eval.result.stage import Stage, StageKind
from xai_eval.run.benign_changes import BENIGN_CHANGES, BenignChange
from xai_eval.run.calibrate import STORED, calibrate, calibrate_task
from xai_eval.run.plan import Plan


class Fake:
    """A planner whose results are prepared: `answers` returns them for a model and parameters."""

    def __init__(self, answers):
        self.answers = answers

    def __call__(self, variant, params):
        results = self.answers(variant("plain"), dict(params))
        return Plan("cams", "m", "photos", True, len(results), iter(results))


def moved(by):
    saliency = blob(80, 120)
    saliency[:4, :4] += by
    return make_result(saliency=saliency)


def test_the_noise_floor_is_the_largest_distance_and_names_the_change_that_caused_it():
    by = {"plain": 0.0, "little": 0.001, "more": 0.004}
    conditions = [BenignChange(name, variant=lambda _model, name=name: name) for name in ("little", "more")]
    (found,) = calibrate("cams", Fake(lambda model, _: [moved(by[model])]), conditions)
    floor = found.noise.largest_distance("gradcam", "largest difference")
    assert floor.condition == "more" and floor.value == pytest.approx(0.004, rel=1e-3)
    distances = found.noise.distances["gradcam"]["largest difference"]
    assert distances["little"] == pytest.approx(0.001, rel=1e-3) and 0 < distances[STORED] < 5e-4
    assert found.noise.largest_distance("predicted", "label").value == 0.0
    assert found.noise.largest_stage_change(Stage(StageKind.FINAL_MAP, "gradcam")).condition == "more"
    assert found.noise.largest_distance("no such field", "label") is None
    mean = found.noise.largest_shift("gradcam", "mean")
    assert mean.value == pytest.approx(0.004 * 16 / 224**2, rel=1e-3)


def test_a_change_under_which_the_model_fails_is_listed_as_unmeasured_and_the_rest_is_measured():
    def answers(model, params):
        if model == "fragile":
            raise RuntimeError("expected scalar type Float but found Double\nand more")
        return [make_result()]

    conditions = [
        BenignChange("fragile", variant=lambda _: "fragile"),
        BenignChange("sound", variant=lambda _: "sound"),
    ]
    (found,) = calibrate("cams", Fake(answers), conditions)
    assert found.noise.unmeasured == {"fragile": "RuntimeError: expected scalar type Float but found Double"}
    assert set(found.noise.distances["gradcam"]["largest difference"]) == {STORED, "sound"}


def test_an_error_of_the_unchanged_run_is_raised():
    def answers(model, params):
        raise RuntimeError("no model")

    with pytest.raises(RuntimeError, match="no model"):
        calibrate("cams", Fake(answers), [])


def test_a_change_is_left_out_if_the_task_lacks_the_parameters_that_it_needs():
    asked = []

    def answers(model, params):
        asked.append(params)
        return [make_result()]

    with_batches = [c for c in BENIGN_CHANGES if c.params]
    calibrate("cams", Fake(answers), with_batches)
    assert asked == [{}]
    calibrate("lime", Fake(answers), with_batches)
    assert asked[2:] == [{"batch_size": 1}, {"batch_size": 64}, {"seed": 1000}, {"seed": 2000}, {"seed": 3000}]


def test_a_change_that_gives_fewer_cases_is_an_error():
    conditions = [BenignChange("short", variant=lambda _: "short")]
    fake = Fake(lambda model, _: [make_result("a.jpg")] + ([make_result("b.jpg")] if model == "plain" else []))
    with pytest.raises(ValueError, match="shorter"):
        calibrate("cams", fake, conditions)


@pytest.fixture(scope="module")
def calibrated():
    """The bundled model, its weights before it was calibrated, and its noise."""
    model = load_model("scenes:objects", device="cpu")
    before = [p.detach().clone() for p in model.module.parameters()]
    found = calibrate_task("cams", model, "scenes:1", "cpu", {"methods": ["gradcam"]}, lambda _name: None)
    return model, before, [each.noise for each in found]


def test_benign_changes_change_maps_of_the_bundled_model_by_rounding_only(calibrated):
    (noise,) = calibrated[2]
    assert noise.unmeasured == {}
    moved_by = noise.distances["gradcam_layer"]["largest difference"]
    assert set(moved_by) == {STORED, "1 thread", "2 threads", "mkldnn off", "channels last", "float64"}
    assert 0 < max(moved_by.values()) < 1e-5
    assert 0 < noise.largest_stage_change(Stage(StageKind.LAYER_ACTIVATIONS)).value < 1e-5


def test_calibration_leaves_the_given_model_unchanged(calibrated):
    model, before, _noise = calibrated
    for was, now in zip(before, model.module.parameters(), strict=True):
        np.testing.assert_array_equal(was, now.detach())


def test_the_case_key_is_that_of_the_unchanged_run():
    fake = Fake(lambda model, params: [make_result(params={"target": "predicted", **params})])
    condition = dataclasses.replace(BENIGN_CHANGES[0], params={"batch_size": 1}, needs=())
    (found,) = calibrate("cams", fake, [condition])
    assert found.plain.case.key == make_result().case.key


def test_other_seeds_count_for_distances_but_not_for_shifts_and_stages():
    redrawn = BenignChange("other seeds", variant=lambda _: "redrawn", params={"seed": 9})
    fake = Fake(lambda model, _: [moved(0.3 if model == "redrawn" else 0.0)])
    (found,) = calibrate("cams", fake, [redrawn])
    assert redrawn.redraws and not any(each.redraws for each in BENIGN_CHANGES if "seed" not in each.name)
    assert found.noise.largest_distance("gradcam", "largest difference").condition == "other seeds"
    assert found.noise.largest_shift("gradcam", "mean").condition == STORED
    assert found.noise.largest_stage_change(Stage(StageKind.FINAL_MAP, "gradcam")).value == 0.0
