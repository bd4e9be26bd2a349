"""`@image_task` makes a task of a function that explains one image."""

import captum.attr
import numpy as np
import pytest
import torch
from test_bad_requests import classifier, images

from xai_eval import HeatmapTolerance, Stage, StageKind, Subject, evaluate, image_task
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
from xai_eval.inputs.models.models import load_model
from xai_eval.metrics.faithfulness import faithfulness
from xai_eval.metrics.localisation import energy_inside
from xai_eval.run.calibrate import calibrate_task
from xai_eval.tasks import find_task
from xai_eval.tasks.registry import TASKS

pytestmark = pytest.mark.usefixtures("own_tasks")


def gradient(subject: Subject, *, power: int = 1) -> torch.Tensor:
    """Explain by the gradient of the score (written for the test)."""
    batch = subject.batch.requires_grad_()
    subject.model(batch)[0, subject.target.index].backward()
    return (batch.grad * batch.detach()).sum(1)[0] ** power


def evaluated(explain, *, model=None, given=None, **how):
    TASKS.pop("mine", None)
    image_task("mine", **how)(explain)
    return evaluate("mine", model=model or classifier(), images=images(), device="cpu", **(given or {}))[0]


def test_the_map_equals_that_of_captum():
    """The reference calls captum directly on the input tensor."""
    model, chosen = load_model("scenes:objects", device="cpu"), load_images("scenes:1")
    image_task("mine")(gradient)
    (result,) = evaluate("mine", model=model, images=chosen, device="cpu")
    from PIL import Image

    batch = model.preprocess(Image.fromarray(chosen.images[0].pixels))[None]
    expected = captum.attr.InputXGradient(model.module).attribute(batch, target=int(model.module(batch).argmax()))
    raw = expected.sum(1)[0].detach().numpy()
    shown = np.clip(raw, 0, None) / raw.max()
    np.testing.assert_allclose(result["mine"].array, shown, atol=1e-6)
    # The measures must be those that the metrics compute from this map.
    mask = model.preprocess.mask(chosen.images[0].mask)
    assert result["table"].frame["energy_inside"][0] == pytest.approx(energy_inside(shown, mask), abs=1e-6)


def test_deletion_uses_the_order_of_negative_values_too():
    result = evaluated(lambda subject: -torch.arange(32.0 * 32).reshape(32, 32))
    assert result["mine"].degenerate == "all zero"
    from xai_eval.explainers.lime.probabilities import probabilities

    model = classifier()
    falling = -np.arange(32.0 * 32).reshape(32, 32)
    view = result["image"].array
    curves = faithfulness(falling, view, probabilities(model), result["explained"].index)
    assert result["table"].frame["deletion"][0] == pytest.approx(curves.deletion, abs=1e-6)


@pytest.mark.parametrize("value", [np.nan, 1.0, -1.0, 0.0])
def test_a_map_without_an_order_has_no_measures(value):
    table = evaluated(lambda subject: np.full((32, 32), value))["table"].frame
    assert table["map"][0] != "ok"
    assert table[["deletion", "insertion", "insertion_less_deletion"]].isna().all(axis=None)


def test_a_map_in_which_nothing_speaks_for_the_class_points_at_nothing():
    image_task("mine")(lambda subject: -subject.batch.abs().sum(1)[0] - 1)
    (result,) = evaluate("mine", images="scenes:1", device="cpu")
    row = result["table"].frame.iloc[0]
    assert row["map"] == "all zero" and not row["pointing_hit"]
    assert np.isnan(row["energy_inside"]) and np.isnan(row["iou_equal_area"]) and not np.isnan(row["deletion"])


def test_the_task_has_the_parameters_of_the_function_and_a_target():
    image_task("mine")(gradient)
    task = find_task("mine")
    assert {name: p.default for name, p in task.parameters.items()} == {"power": 1, "target": "predicted"}
    assert task.summary == "Explain by the gradient of the score (written for the test)."
    assert gradient.__name__ in task.function.__name__
    plain, cubed = evaluated(gradient), evaluated(gradient, given={"power": 3, "target": 2})
    assert plain.case.params == {"power": 1, "target": "predicted"}
    assert cubed.case.params == {"power": 3, "target": "2"}
    assert cubed["explained"].index == 2
    with pytest.raises(UsageError, match=r"unknown parameter of task mine 'powr'\. Did you mean power\?"):
        evaluated(gradient, given={"powr": 2})
    with pytest.raises(UsageError, match="power is '2'; expected a whole number"):
        evaluated(gradient, given={"power": "2"})


def test_a_task_without_a_layer_has_no_stage_of_layer_activations():
    stages = list(map(str, evaluated(gradient).stages))
    assert "layer activations" not in stages
    assert stages.index("input tensor") < stages.index("logits") < stages.index("raw map of mine")
    assert stages.index("raw map of mine") < stages.index("final map of mine")


def unsteady(by):
    """Explain by a ramp, and add another number to its first pixel at every second call."""
    calls = []

    def explain(subject):
        calls.append(None)
        ramp = torch.linspace(0, 1, 32 * 32).reshape(32, 32)
        ramp[0, 0] += by * (len(calls) % 2)
        return ramp

    return explain


def test_a_function_that_explains_the_same_image_differently_is_refused():
    with pytest.raises(UsageError, match="mine gives the same image another map when it is called again, by up to"):
        evaluated(unsteady(0.9))


def test_a_function_that_gives_nearly_the_same_map_again_is_told_to():
    assert "A golden allows as much" in evaluated(unsteady(0.005))["remarks"].text


@pytest.mark.parametrize("value", [0.0, float("nan"), 1.0])
def test_a_map_that_is_the_same_is_not_remarked(value):
    assert "remarks" not in evaluated(lambda subject: torch.full((32, 32), value)).fields


def test_a_layer_is_checked_and_becomes_a_stage():
    seen = []

    def layered(subject, *, layer: str | None = None):
        seen.append(layer)
        return np.ones((32, 32)) * subject.seen.activations.mean()

    result = evaluated(layered)
    assert set(seen) in ({"features.1"}, {classifier().default_layer()})
    assert result.case.params == {"target": "predicted", "layer": seen[0]}
    assert Stage(StageKind.LAYER_ACTIVATIONS) in result.stages
    with pytest.raises(UsageError, match="unknown layer"):
        evaluated(layered, given={"layer": "nothing"})


def test_the_seed_sets_the_random_numbers_of_the_function_and_leaves_the_global_generators_alone():
    def random(subject, *, seed: int = 0):
        return torch.rand(32, 32) + torch.from_numpy(np.random.rand(32, 32))

    mine = classifier()
    torch.manual_seed(5), np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5), np.random.seed(5)
    first, again, other = (evaluated(random, model=mine, given={"seed": seed})["mine"].array for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected[0]) and np.array_equal(np.random.rand(3), expected[1])
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert evaluated(random, given={"seed": 7}).provenance.seed == 7
    assert "seed" not in evaluated(random).case.params


def test_libraries_are_recorded_and_a_missing_one_is_refused():
    assert evaluated(gradient, libraries=["captum"]).provenance.versions["captum"] == captum.__version__
    with pytest.raises(UsageError, match="library 'captm' of task mine is not installed"):
        evaluated(gradient, libraries=["captm"])


def test_the_map_has_the_tolerance_of_the_task():
    assert evaluated(gradient)["mine"].tolerance == HeatmapTolerance(largest=0.02)
    given = HeatmapTolerance(largest=0.1)
    assert evaluated(gradient, tolerance=given)["mine"].tolerance == given


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: np.full((32, 32), 1 + 2j),
        lambda s: np.ones((32, 32), bool),
        lambda s: s.batch,
        lambda s: s.batch[0, 0, :5],
        lambda s: "map",
        lambda s: None,
        lambda s: 3.0,
    ],
)
def test_a_return_value_that_is_not_a_map_is_refused(wrong):
    with pytest.raises(UsageError, match=r"task mine returned an array .* for one; expected a map \(32, 32\)"):
        evaluated(wrong)


def test_changes_of_the_function_to_model_and_batch_are_undone():
    def careless(subject):
        subject.model.train()
        subject.model.features[0].register_forward_hook(lambda *_: None)
        subject.batch.zero_()
        return np.ones((32, 32))

    mine = classifier()
    before = evaluated(gradient, model=mine).stages
    after = evaluated(careless, model=mine).stages
    assert not mine.module.training and not mine.module.features[0]._forward_hooks
    assert {n: s.digest for n, s in before.items() if "map" not in str(n)} == {
        n: s.digest for n, s in after.items() if "map" not in str(n)
    }


def test_every_image_is_explained_with_the_model_as_it_was_given():
    """Whatever the function did to it for another image: the third image among three and alone give one result."""

    def careless(subject):
        """Monte Carlo dropout as it is often written: training mode moves the buffers of BatchNorm, too."""
        subject.model.train()
        batch = subject.batch.repeat(2, 1, 1, 1).requires_grad_()
        found = torch.autograd.grad(subject.model(batch)[:, subject.target.index].sum(), batch)[0]
        with torch.no_grad():
            subject.model.fc.weight.mul_(0.5)
        return found.sum(1)[0]

    image_task("mine")(careless)
    model, three = load_model("scenes:objects", device="cpu"), load_images("scenes:3")
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    together = evaluate("mine", model=model, images=three)[2]
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    (alone,) = evaluate("mine", model=model, images=ImageSet(three.name, three.images[2:]))
    assert np.array_equal(together["mine"].array, alone["mine"].array)
    assert {name: each.digest for name, each in together.stages.items()} == {
        name: each.digest for name, each in alone.stages.items()
    }


def test_a_model_that_fails_is_refused_before_anything_is_explained():
    def failing(x):
        raise KeyError("boom")

    with pytest.raises(ModelMisbehaves, match="mine fails on a batch"):
        evaluated(gradient, model=classifier(failing))


def test_an_error_of_the_function_is_raised_unchanged():
    def wrong(subject):
        return {}["missing"]

    with pytest.raises(KeyError, match="missing"):
        evaluated(wrong)


def test_a_signature_that_does_not_fit_an_image_task_is_refused():
    for wrong, words in (
        (lambda: None, "one argument, and after a star"),
        (lambda subject, steps: None, "one argument, and after a star"),
        (lambda subject, *, target=1: None, "Use subject.target"),
        (lambda subject, *, images=1: None, "Use subject.image"),
        (lambda subject, *, classifier=1: None, "Use subject.classifier"),
    ):
        with pytest.raises(UsageError, match=words):
            image_task("mine")(wrong)


def test_an_image_without_a_mask_has_no_localisation():
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    image_task("mine")(gradient)
    (result,) = evaluate("mine", model=classifier(), images=ImageSet("dark", (LabelledImage("one", pixels, "0" * 64),)))
    assert {"deletion", "insertion"} <= set(result["table"].frame)
    assert "energy_inside" not in result["table"].frame


def test_the_noise_of_an_image_task_can_be_measured():
    image_task("mine", images="scenes:1")(gradient)
    (found,) = calibrate_task("mine", None, None, "cpu", {}, lambda _: None)
    assert not found.noise.unmeasured
    assert set(found.noise.stages) == set(found.plain.stages)
    assert max(found.noise.stages[Stage(StageKind.RAW_MAP, "mine")].values()) < 2e-4
