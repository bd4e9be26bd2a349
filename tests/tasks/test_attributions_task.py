"""The task `attributions`: maps, measures, stages and parameters of every method."""

import hashlib
import sys

import captum.attr
import numpy as np
import pytest
import torch
from PIL import Image
from test_bad_requests import Net, classifier, images, only_two_at_a_time, only_without_gradient
from torch import nn

from xai_eval import SignedMap, Stage, StageKind, evaluate, load_images, load_model
from xai_eval.cli.main import main
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.metrics.localisation import energy_inside
from xai_eval.run.plan import plan

FEW = {"steps": 8, "samples": 4, "window": 0.25}


def ask(model=None, **given):
    return evaluate("attributions", model=model or classifier(), images=images(), device="cpu", **{**FEW, **given})[0]


@pytest.fixture(scope="module")
def scene():
    """The result of all methods on one scene, with the model and the prepared image."""
    model, chosen = load_model("scenes:objects", device="cpu"), load_images("scenes:1")
    batch = model.preprocess(Image.fromarray(chosen.images[0].pixels))[None]
    (result,) = evaluate("attributions", model=model, images=chosen, device="cpu", **FEW)
    return result, model, batch


def test_every_method_gives_a_map_a_row_and_its_stages(scene):
    result, _, batch = scene
    methods = result.case.params["methods"]
    maps = result.of_kind(SignedMap)
    assert list(maps) == methods and all(each.shape == batch.shape[-2:] for each in maps.values())
    assert list(result["table"].frame["method"]) == methods
    for method in methods:
        raw, final = (result.stages[Stage(kind, method)] for kind in (StageKind.ATTRIBUTION, StageKind.SIGNED_MAP))
        assert raw.shape == (3, 96, 96) and final.shape == (96, 96)
    complete = [stage.of for stage in result.stages if stage.kind is StageKind.COMPLETENESS]
    assert complete == ["integrated_gradients", "gradient_shap"]
    assert "captum" in result.provenance.versions


def test_the_map_is_the_sum_of_captums_attribution_over_the_channels(scene):
    result, model, batch = scene
    batch, target = batch.clone().requires_grad_(), int(model.module(batch).argmax())
    found = captum.attr.InputXGradient(model.module).attribute(batch, target=target)
    expected = found.sum(1)[0].detach().numpy()
    np.testing.assert_allclose(result["input_x_gradient"].array, expected, rtol=1e-5, atol=1e-7)
    mask = load_images("scenes:1").images[0].mask
    row = result["table"].frame.set_index("method").loc["input_x_gradient"]
    assert row["energy_inside"] == pytest.approx(energy_inside(np.clip(expected, 0, None), mask), abs=1e-5)
    assert 0.0 <= row["deletion"] <= 1.0 and np.isnan(row["completeness_error"])


def test_the_completeness_error_is_that_of_captums_own_delta(scene):
    result, model, batch = scene
    scores = model.module(torch.cat([batch, torch.zeros_like(batch)])).detach()
    target = int(scores[0].argmax())
    _, delta = captum.attr.IntegratedGradients(model.module).attribute(
        batch, target=target, n_steps=8, return_convergence_delta=True
    )
    error = result["table"].frame.set_index("method").loc["integrated_gradients", "completeness_error"]
    assert error == pytest.approx(abs(float(delta)) / float(scores[:, target].abs().max()), rel=0.02)


def test_more_steps_add_up_better():
    errors = []
    for steps in (2, 200):
        result = ask(methods=["integrated_gradients"], steps=steps, baseline="black")
        errors.append(result["table"].frame["completeness_error"][0])
    assert errors[1] < 1e-3 and errors[1] <= errors[0]


def test_a_case_is_identified_by_the_settings_that_its_methods_read():
    params = ask(methods=["saliency"]).case.params
    assert params == {"methods": ["saliency"], "target": "predicted"}
    assert ask(methods=["saliency"], steps=3, noise=0.5).case.params == params
    assert ask(methods=["integrated_gradients"]).case.params == {
        "methods": ["integrated_gradients"],
        "steps": 8,
        "baseline": "zero",
        "batch_size": 16,
        "target": "predicted",
    }


def test_a_black_baseline_is_a_black_image_prepared_as_the_image():
    model = classifier()
    result = ask(model, methods=["occlusion"], baseline="black")
    black = model.preprocess(Image.new("RGB", (32, 32)))[None].numpy()
    from xai_eval.result.fingerprint import fingerprint_array

    assert result.stages[Stage(StageKind.BASELINE)].digest == fingerprint_array(black).digest
    zero = ask(model, methods=["occlusion"])
    assert zero.stages[Stage(StageKind.BASELINE)].digest == fingerprint_array(np.zeros_like(black)).digest
    assert Stage(StageKind.BASELINE) not in ask(model, methods=["saliency"]).stages


def test_other_weights_are_a_drift_that_begins_at_the_weights():
    before = ask(methods=["saliency", "occlusion"])
    model = classifier()
    model.module.features[0].weight.data[0] *= -1.0
    changed = type(model)(model.name, model.module, model.preprocess, model.class_names)
    verdict = judge(ask(changed, methods=["saliency", "occlusion"]), before.condensed())
    assert verdict.state is State.DRIFT and verdict.origin.stage == Stage(StageKind.MODEL_WEIGHTS, "features.0")


@pytest.mark.parametrize("method", ["saliency", "smoothgrad"])
def test_the_seed_changes_only_what_is_drawn(method):
    first, other = (ask(methods=[method], seed=seed)[method].array for seed in (0, 1))
    assert np.array_equal(first, other) == (method == "saliency")


class Detached(nn.Module):
    def forward(self, x):
        return x.detach().mean((2, 3))


class InPlace(Net):
    def forward(self, x):
        return super().forward(x.mul_(0.5))


def of(module):
    model = classifier()
    return type(model)("mine", module, model.preprocess, model.class_names)


def test_a_model_that_cannot_be_differentiated_misbehaves():
    with pytest.raises(ModelMisbehaves, match=r"mine fails under saliency on a batch of shape \(1, 3, 32, 32\)"):
        ask(of(Detached()), methods=["saliency"])


def test_a_model_that_writes_into_its_input_gets_a_copy():
    result = ask(of(InPlace()), methods=["saliency"])
    assert result["model"].content["writes into its input"].startswith("yes")
    assert result["saliency"].degenerate is None


def vision_transformer():
    import timm

    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=3).eval()
    nn.init.normal_(module.head.weight)
    return of(module)


def test_attention_methods_give_maps_rows_and_stages():
    result = ask(vision_transformer(), methods=["attention_rollout", "generic_attention", "saliency"])
    assert result.case.params == {
        "methods": ["attention_rollout", "generic_attention", "saliency"],
        "target": "predicted",
    }
    for method in ("attention_rollout", "generic_attention"):
        assert result[method].shape == (32, 32) and result[method].array.min() >= 0.0
        assert result.stages[Stage(StageKind.ATTRIBUTION, method)].shape == (4, 4)
    assert list(result["table"].frame["map"]) == ["ok"] * 3


def test_attention_methods_need_no_captum(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    result = ask(vision_transformer(), methods=["attention_rollout"])
    assert "captum" not in result.provenance.versions


def test_an_explainer_of_a_user_is_recorded_without_its_folder_and_with_the_digest_of_its_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("def coarse(module, batch, targets): return batch.sum(1)[:, ::8, ::8]")
    result = ask(methods=[f"file:{path}:coarse", "saliency"])
    assert result.case.params["methods"] == ["file:own.py:coarse", "saliency"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.provenance.versions["file:own.py:coarse"] == digest[:16]
    assert result["coarse"].shape == (32, 32) and list(result["table"].frame["method"]) == ["coarse", "saliency"]
    assert result.stages[Stage(StageKind.ATTRIBUTION, "coarse")].shape == (4, 4)
    assert str(tmp_path) not in str(result.case) + str(result.provenance)


def test_an_explainer_that_returns_something_else_is_refused_before_anything_is_computed(tmp_path):
    (tmp_path / "own.py").write_text("def bad(module, batch, targets): return batch[0]")
    given = {"methods": [f"file:{tmp_path / 'own.py'}:bad"]}
    with pytest.raises(UsageError, match=r"file:own\.py:bad returned an array \(3, 32, 32\) for one image"):
        plan("attributions", model=classifier(), images=images(), device="cpu", params=given)


DRAWS = """import numpy, random, torch

def own(module, batch, targets):
    return batch.sum(1) + ({}) * {}
"""


def own_that_draws(folder, noise, size):
    path = folder / "draws.py"
    path.write_text(DRAWS.format(noise, size))
    return {"methods": [f"file:{path}:own"]}


@pytest.mark.parametrize(
    "noise",
    [
        "float(numpy.random.default_rng().normal()) * batch[:, 0]",
        "torch.randn(32, 32, generator=torch.Generator().manual_seed(random.SystemRandom().randrange(9**9)))",
        "globals().update(calls=globals().get('calls', 0) + 1) or calls * batch[:, 0]",
    ],
)
def test_an_explainer_with_unseeded_randomness_is_refused_with_the_remedy(tmp_path, noise):
    with pytest.raises(UsageError, match=r"file:draws\.py:own gives the same image another map .*default_rng\(0\)"):
        plan("attributions", model=classifier(), images=images(), params=own_that_draws(tmp_path, noise, 1.0))


@pytest.mark.parametrize("noise", ["torch.randn(32, 32)", "numpy.random.normal()", "random.gauss(0, 1)"])
def test_an_explainer_that_draws_from_the_seeded_generators_is_explained(tmp_path, noise):
    first, again = (ask(**own_that_draws(tmp_path, noise, 1.0)) for _ in range(2))
    np.testing.assert_array_equal(first["own"].array, again["own"].array)
    assert "remarks" not in first.fields


def test_a_little_randomness_is_told_and_recorded(tmp_path):
    noise = "torch.from_numpy(numpy.random.default_rng().normal(size=(32, 32)))"
    result = ask(**own_that_draws(tmp_path, noise, 2e-3))
    assert "A golden allows as much. The generators" in result["remarks"].text


def test_a_model_without_attention_is_refused_before_anything_is_computed():
    with pytest.raises(UsageError, match="attention cannot be followed through this model: it has no softmax"):
        plan(
            "attributions",
            model=classifier(),
            images=images(),
            device="cpu",
            params={"methods": ["attention_rollout"]},
        )


def test_occlusion_needs_no_gradient():
    assert ask(of(Detached()), methods=["occlusion"])["occlusion"].degenerate is None


def test_a_model_that_fails_inside_the_library_misbehaves():
    with pytest.raises(ModelMisbehaves, match="fails under saliency"):
        ask(classifier(only_without_gradient))
    with pytest.raises(ModelMisbehaves, match=r"fails under integrated_gradients .* KeyError: 'more than two'"):
        ask(classifier(only_two_at_a_time), methods=["integrated_gradients"])


def test_a_model_in_training_mode_is_in_training_mode_afterwards():
    trained = classifier()
    trained.module.train()
    ask(trained)
    assert all(part.training for part in trained.module.modules())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"methods": []}, "expected at least one method"),
        ({"methods": ["saliency", "saliency"]}, "Name each once"),
        ({"methods": ["salency"]}, r"unknown method 'salency'\. Did you mean saliency"),
        ({"methods": "gradcam"}, "unknown method 'gradcam'"),
        ({"steps": 0}, "steps is 0; expected a whole number, at least 1"),
        ({"window": 1.5}, "window is 1.5; expected a number from 0.01 to 1.0"),
        ({"baseline": "white"}, "unknown baseline 'white'"),
        ({"seed": -1}, "seed is -1"),
        ({"target": 3}, "unknown class '3'"),
        ({"layer": "features"}, "unknown parameter of task attributions 'layer'"),
    ],
)
def test_a_bad_request_is_refused_before_anything_is_computed(given, words):
    with pytest.raises(UsageError, match=words):
        plan("attributions", model=classifier(), images=images(), device="cpu", params=given)


def test_without_captum_a_run_of_all_tasks_leaves_it_out_and_says_so(monkeypatch, capsys):
    from xai_eval.cli.asked import _usable_tasks

    assert "attributions" in _usable_tasks() and not capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "captum", None)
    assert "attributions" not in _usable_tasks() and "cams" in _usable_tasks()
    assert "task attributions is left out, because captum is not installed" in capsys.readouterr().err


def test_without_captum_the_task_names_the_extra(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "captum", None)
    assert main(["run", "attributions", "--images", "scenes:1"]) == 2
    assert "pip install 'xai-eval[captum]'" in capsys.readouterr().err
