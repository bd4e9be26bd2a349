"""A changed library shows in the trials of its step, whatever the weights of the model are."""

import dataclasses

import numpy as np
import pytest
import torch
from lime import lime_base
from pytorch_grad_cam import GradCAM, HiResCAM

from xai_eval import evaluate, load_model
from xai_eval.errors import LibraryMisbehaves
from xai_eval.explainers import hybrid_maps
from xai_eval.explainers.attribution import rollout
from xai_eval.explainers.attribution.methods import find_methods
from xai_eval.explainers.cam import cam_maps
from xai_eval.explainers.cam.cam_maps import METHOD_NAMES
from xai_eval.explainers.dissection import observe_shard
from xai_eval.explainers.dissection.by_clip import Similarity
from xai_eval.explainers.dissection.similarity import SIMILARITIES
from xai_eval.explainers.lime.lime import _Explainer
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.inputs.models.layout import Layout
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.trials import trials
from xai_eval.tasks.trials.trials import attribution_trials, cam_trials, dissection_trials, lime_trials

SCALING, HIDING, FIT, EXPLAINED = (
    Stage(StageKind.TRIAL, name)
    for name in (
        "the scaling of maps",
        "the prediction of perturbed images",
        "the fit of the surrogate",
        "what the surrogates explain",
    )
)


def map_of(method):
    return Stage(StageKind.TRIAL, f"the map of {method}")


def moved(before, now):
    return {stage for stage in before if now[stage].distance(before[stage]) > 5e-5}


def test_trials_repeat_whatever_the_random_state_and_leave_it_as_it_was():
    def every():
        return {**trials.model_trials(), **cam_trials(METHOD_NAMES), **lime_trials(), **trials.unit_trials()}

    before = every()
    torch.manual_seed(7)
    np.random.seed(7)
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    with torch.inference_mode():
        assert not moved(before, every())
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert np.array_equal(np.random.get_state()[1], state[1])


def test_the_map_of_grad_cam_is_that_of_its_formula():
    """Weights are the mean gradients of the class's logit, which here are one number per channel."""
    module, image = trials._network(), trials._image()
    activations = module[2](module[1](module[0](image)))
    activations.retain_grad()
    module[6](module[5](module[4](module[3](activations))))[0, 1].backward()
    weights = activations.grad.mean(dim=(2, 3), keepdim=True)
    expected = (weights * activations).sum(dim=1).detach().numpy()
    found = cam_maps.explain_by_cam(module, module[2], image, [1], "gradcam").raw
    assert np.allclose(found, expected, atol=1e-6) and np.ptp(expected) > 0.01
    assert (expected > 0).any() and (expected < 0).any()


def half_weights(self, *args, original=GradCAM.get_cam_weights):
    weights = original(self, *args).copy()
    weights[:, 0] *= 0.5
    return weights


def test_a_method_that_computes_other_weights_moves_its_own_trial(monkeypatch):
    before = cam_trials(["gradcam", "hirescam"])
    monkeypatch.setattr(GradCAM, "get_cam_weights", half_weights)
    # The scaling is tried with the first map, which moved.
    assert moved(before, cam_trials(["gradcam", "hirescam"])) == {map_of("gradcam"), SCALING}


def test_a_method_that_drops_what_speaks_against_moves_its_own_trial(monkeypatch):
    before = cam_trials(["hirescam"])
    stock = HiResCAM.get_cam_image
    monkeypatch.setattr(HiResCAM, "get_cam_image", lambda *args, **more: np.maximum(stock(*args, **more), 0))
    assert map_of("hirescam") in moved(before, cam_trials(["hirescam"]))


def test_an_attribution_that_is_summed_otherwise_moves_its_own_trial(monkeypatch):
    captum = pytest.importorskip("captum.attr")
    methods = find_methods(["saliency", "input_x_gradient", "integrated_gradients", "smoothgrad", "occlusion"])
    before = attribution_trials(methods)
    assert before.keys() == {map_of(each.name) for each in methods} and not moved(before, attribution_trials(methods))
    stock = captum.IntegratedGradients.attribute
    monkeypatch.setattr(captum.IntegratedGradients, "attribute", lambda *args, **more: 1.001 * stock(*args, **more))
    assert moved(before, attribution_trials(methods)) == {map_of("integrated_gradients")}


def test_the_trial_of_input_times_gradient_is_that_of_its_formula():
    pytest.importorskip("captum.attr")
    image = trials._image().requires_grad_(True)
    trials._network()(image)[0, 1].backward()
    expected = fingerprint_array((image * image.grad)[0].detach().numpy())
    [found] = attribution_trials(find_methods(["input_x_gradient"])).values()
    assert found.distance(expected) < 1e-6


def test_attention_that_is_followed_otherwise_moves_its_own_trial(monkeypatch):
    methods = find_methods(["attention_rollout", "generic_attention"])
    before, stock = attribution_trials(methods), rollout.rolled_out
    assert not moved(before, attribution_trials(methods))
    monkeypatch.setattr(rollout, "rolled_out", lambda matrices: stock(matrices[::-1]))
    assert moved(before, attribution_trials(methods)) == {
        map_of(f"attention_rollout{of}") for of in ("", " of two heads")
    }


def test_heads_that_are_joined_otherwise_move_the_trial_of_two_heads(monkeypatch):
    methods = find_methods(["attention_rollout", "generic_attention"])
    before, stock = attribution_trials(methods), rollout.weighted_by_gradients

    def joined_first(matrices, gradients):
        return stock(*([each.mean(0, keepdim=True) for each in many] for many in (matrices, gradients)))

    monkeypatch.setattr(rollout, "weighted_by_gradients", joined_first)
    assert moved(before, attribution_trials(methods)) == {map_of("generic_attention of two heads")}


def test_the_trial_of_rollout_is_that_of_its_formula():
    """The mean with the identity, layer by layer, of attention as it is defined."""
    module, image = trials._transformer(1), trials._image()
    places = module.patches(image).flatten(2).mT
    tokens = torch.cat([module.token, places], dim=1)
    joined = torch.eye(17, dtype=torch.float64)
    for layer in module.layers:
        query, key, value = layer(tokens).chunk(3, dim=-1)
        attention = (query @ key.mT / 8**0.5).softmax(-1)
        tokens = tokens + attention @ value
        joined = (attention[0] + torch.eye(17)) / 2 @ joined
    expected = fingerprint_array(joined[0, 1:].reshape(4, 4).detach().numpy().astype(np.float32))
    found = attribution_trials(find_methods(["attention_rollout"]))[map_of("attention_rollout")]
    assert found.distance(expected) < 1e-5


@pytest.mark.parametrize("name", sorted(SIMILARITIES))
def test_units_that_are_compared_with_words_otherwise_move_their_trial(monkeypatch, name):
    similarity = Similarity(name, 100 if "wpmi" in name else None, 0)
    before, stock = dissection_trials(similarity), SIMILARITIES[name]
    assert not moved(before, dissection_trials(similarity))
    monkeypatch.setitem(SIMILARITIES, name, lambda *args, **more: 1.01 * stock(*args, **more))
    assert len(moved(before, dissection_trials(similarity))) == 1


def broken(*_args, **_more):
    raise TypeError("unexpected keyword argument")


@pytest.mark.parametrize(
    ("place", "attribute", "run", "step", "library"),
    [
        (GradCAM, "get_cam_weights", lambda: cam_trials(["gradcam"]), "the map of gradcam", "grad-cam"),
        (lime_base, "Ridge", lime_trials, "the explanation by LIME", "lime"),
        (
            rollout,
            "rolled_out",
            lambda: attribution_trials(find_methods(["attention_rollout"])),
            "the map of attention_rollout",
            "torch",
        ),
    ],
)
def test_a_library_that_breaks_in_a_trial_is_named_with_the_step(monkeypatch, place, attribute, run, step, library):
    monkeypatch.setattr(place, attribute, broken)
    with pytest.raises(
        LibraryMisbehaves, match=f"{library} .* breaks in a trial: {step}.*TypeError.*neither"
    ) as raised:
        run()
    assert (raised.value.step, raised.value.library) == (step, library)


def other_size(image, target_size=None, original=cam_maps.scale_cam_image):
    found = original(image, target_size)
    return found if target_size is None else np.stack([each[::-1] for each in found])


def test_maps_that_are_enlarged_otherwise_move_the_trial_of_scaling_alone(monkeypatch):
    from pytorch_grad_cam import base_cam

    before = cam_trials(["gradcam"])
    monkeypatch.setattr(base_cam, "scale_cam_image", other_size)
    assert moved(before, cam_trials(["gradcam"])) == {SCALING}


def test_another_fit_of_lime_moves_its_trial_alone(monkeypatch):
    before, stock = lime_trials(), lime_base.Ridge
    monkeypatch.setattr(lime_base, "Ridge", lambda alpha, **more: stock(alpha=10 * alpha, **more))
    assert moved(before, lime_trials()) == {FIT, EXPLAINED}


def test_another_quality_of_surrogates_moves_its_trial_alone(monkeypatch):
    before, stock = lime_trials(), lime_base.Ridge
    monkeypatch.setattr(stock, "score", lambda *_args, **_more: 0.5)
    assert moved(before, lime_trials()) == {EXPLAINED}


def first_of_each_batch(self, loop, part, original=PerturbedImages._batch):
    found = original(self, loop, part)
    return found if len(found) == self.batch_size else found[:1].expand_as(found)


def test_a_last_batch_that_is_not_whole_is_tried(monkeypatch):
    before = lime_trials()
    monkeypatch.setattr(PerturbedImages, "_batch", first_of_each_batch)
    assert moved(before, lime_trials()) == {Stage(StageKind.TRIAL, "the batches of perturbed images")}


def test_tokens_that_are_laid_out_otherwise_move_their_trial(monkeypatch):
    before, stock = cam_trials(["gradcam"]), Layout._of_places
    monkeypatch.setattr(Layout, "_of_places", lambda self, tokens: stock(self, tokens.flip(0)))
    assert moved(before, cam_trials(["gradcam"])) == {Stage(StageKind.TRIAL, "the places of tokens")}


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (lambda maps: maps.transpose(2, 3), {"the maps of units"}),
        (lambda maps: maps.flip(0), {"the activations of units", "the maps of units"}),
        (lambda maps: maps.roll(1, 1), {"the activations of units", "the maps of units"}),
    ],
)
def test_units_that_are_read_otherwise_move_their_trials(monkeypatch, change, steps):
    """Behind other weights, nobody could tell from the units themselves."""
    before, stock = trials.unit_trials(), observe_shard.layer_outputs

    def outputs(model, batch):
        return {name: change(each) if each.dim() == 4 else each for name, each in stock(model, batch).items()}

    monkeypatch.setattr(observe_shard, "layer_outputs", outputs)
    assert moved(before, trials.unit_trials()) == {Stage(StageKind.TRIAL, step) for step in steps}


def other_colours(self, image, hidden, *rest, original=_Explainer.data_labels, **more):
    return original(self, image, 255 - hidden, *rest, **more)


def test_other_colours_of_hidden_superpixels_move_the_trial_of_what_is_predicted(monkeypatch):
    before = lime_trials()
    monkeypatch.setattr(_Explainer, "data_labels", other_colours)
    assert HIDING in moved(before, lime_trials())


@pytest.fixture(scope="module")
def golden():
    return gradcam(load_model("scenes:objects", device="cpu")).condensed()


def gradcam(model):
    [result] = evaluate("cams", model=model, images="scenes:1", device="cpu", methods=["gradcam"])
    return result


def rounded():
    """The bundled network with weights rounded to half precision, as an upgrade on purpose makes them."""
    model = load_model("scenes:objects", device="cpu")
    with torch.no_grad():
        for weight in model.module.parameters():
            weight.copy_(weight.half().float())
    return dataclasses.replace(model, weights_digest="c" * 64)


def test_behind_other_weights_a_changed_library_is_an_accident_and_is_named(golden, monkeypatch):
    verdict = judge(gradcam(rounded()), golden)
    assert verdict.state is State.OK and "the explanation held" in verdict.sentence, verdict.sentence

    def slightly_other(self, *args, original=GradCAM.get_cam_weights):
        return original(self, *args) * (1 + 1e-3 * np.arange(args[3].shape[1]) / args[3].shape[1])

    monkeypatch.setattr(GradCAM, "get_cam_weights", slightly_other)
    verdict = judge(gradcam(rounded()), golden)
    assert verdict.state is State.DRIFT and verdict.origin.stage == map_of("gradcam")
    assert "What it is tried on never changes. Responsible step: this step" in verdict.sentence


def test_with_the_same_weights_the_stage_itself_is_named_first(golden, monkeypatch):
    monkeypatch.setattr(GradCAM, "get_cam_weights", half_weights)
    verdict = judge(gradcam(load_model("scenes:objects", device="cpu")), golden)
    assert verdict.origin.stage == Stage(StageKind.RAW_MAP, "gradcam")


def test_a_layer_that_torch_computes_otherwise_moves_its_trial(monkeypatch):
    before, stock = trials.model_trials(), torch.nn.functional.batch_norm
    assert not moved(before, trials.model_trials())
    monkeypatch.setattr(torch.nn.functional, "batch_norm", lambda x, *rest: stock(x, *rest[:-1], 1e-3))
    steps = ("the layers of torch", "the norms of torch")
    assert moved(before, trials.model_trials()) == {Stage(StageKind.TRIAL, step) for step in steps}


def slightly(name, change):
    stock = getattr(torch.nn.functional, name)
    return lambda given, *args, **more: change(stock, given, *args, **more)


@pytest.mark.parametrize(
    ("name", "change", "step"),
    [
        ("layer_norm", lambda o, x, s, w, b, eps: o(x, s, w, b, 10 * eps), "norms"),
        ("softmax", lambda o, x, *a, **k: o(x, *a, **k).half().double(), "norms"),
        ("gelu", lambda o, x, approximate="none": o(x), "activations"),
        ("pad", lambda o, x, sides, *a, **k: o(x, sides), "padding and pooling"),
        ("interpolate", lambda o, x, *a, **k: o(x, *a, **{**k, "antialias": False}), "resampling"),
        ("scaled_dot_product_attention", lambda o, q, *a, **k: o(1.001 * q, *a, **k), "attention"),
    ],
)
def test_what_torch_computes_otherwise_is_named_by_its_kind(monkeypatch, name, change, step):
    before = trials.model_trials()
    monkeypatch.setattr(torch.nn.functional, name, slightly(name, change))
    assert next(iter(sorted_as(before, moved(before, trials.model_trials())))).of == f"the {step} of torch"


def sorted_as(stages, some):
    return [stage for stage in stages if stage in some]


def test_rounding_moves_no_count_of_the_trial_of_overlap(monkeypatch):
    before, maps = trials.overlap_trials(), trials._unit_maps()
    noise = 1 + 1e-6 * np.random.default_rng(0).uniform(-1, 1, maps.shape)
    monkeypatch.setattr(trials, "_unit_maps", lambda: np.float32(maps * noise))
    assert not moved(before, trials.overlap_trials())


def test_a_hybrid_that_is_combined_otherwise_moves_its_own_trial(monkeypatch):
    before = trials.hybrid_trials()
    monkeypatch.setattr(hybrid_maps, "LIME_SHARE", 0.6)
    assert moved(before, trials.hybrid_trials()) == {map_of("sum_of_both")}


def test_an_attribution_that_is_enlarged_otherwise_moves_its_trial(monkeypatch):
    before, stock = trials.signed_map_trials(), torch.nn.functional.interpolate
    assert not moved(before, trials.signed_map_trials())
    monkeypatch.setattr(torch.nn.functional, "interpolate", lambda x, size, **_: stock(x, size, mode="nearest"))
    assert moved(before, trials.signed_map_trials()) == set(before)
