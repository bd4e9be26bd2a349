"""All tasks refuse models that fail and options that are wrong, with errors that say what to do."""

import numpy as np
import pytest
import torch
from torch import nn

from xai_eval import evaluate
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.result.stage import Stage, StageKind
from xai_eval.run.plan import plan

GRID = {"segmentation": "slic", "num_samples": 20, "num_features": 100, "top_labels": 1, "batch_size": 10}
TASKS = {
    "cams": {"methods": ["gradcam"]},
    "lime": {"num_samples": 20, "seeds": 1, "top_labels": 1, "segmentation": "slic"},
    "lime_search": {"grid": GRID},
    "comparison": {"num_samples": 20, "segmentation": "slic"},
    "hybrid": {"num_samples": 20},
}

LOGITS = Stage(StageKind.LOGITS)


class Net(nn.Module):
    """A model with three classes. `failing` is called with every input that is not zero, and may raise an error."""

    def __init__(self, failing=None):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Dropout())
        self.head = nn.Linear(8, 3)
        self.failing = failing

    def forward(self, x):
        if self.failing and x.abs().sum() > 0:
            self.failing(x)
        return 3 + self.head(self.features(x).mean((2, 3)))


def classifier(failing=None):
    return Classifier("mine", Net(failing), fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3), ("a", "b", "c"))


def images():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return ImageSet("noise", (LabelledImage("one", pixels, "0" * 64),))


def ask(task, model=None, **changes):
    return evaluate(task, model=model or classifier(), images=images(), device="cpu", **{**TASKS[task], **changes})


def only_without_gradient(x):
    if torch.is_grad_enabled():
        raise SystemExit(0)


def only_two_at_a_time(x):
    if len(x) > 2:
        raise KeyError("more than two")


@pytest.mark.parametrize("task", [name for name in TASKS if name != "lime"])
def test_a_model_that_fails_inside_the_library_misbehaves(task):
    with pytest.raises(ModelMisbehaves, match=r"mine fails under gradcam on a batch of shape \(1, 3, 32, 32\)") as told:
        ask(task, classifier(only_without_gradient))
    assert isinstance(told.value.__cause__, SystemExit)


def test_lime_does_without_grad_cam_if_that_fails_and_says_so():
    (result,) = ask("lime", classifier(only_without_gradient))
    assert "gradcam" not in result.fields and "mine fails under gradcam" in result.fields["remarks"].text


@pytest.mark.parametrize("task", [name for name in TASKS if name != "cams"])
def test_a_model_that_fails_on_perturbed_images_misbehaves(task):
    with pytest.raises(ModelMisbehaves, match=r"mine fails on a batch of shape .* KeyError: 'more than two'"):
        ask(task, classifier(only_two_at_a_time))


@pytest.mark.parametrize("task", TASKS)
def test_a_keyboard_interrupt_is_not_reported_as_an_error_of_the_model(task):
    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(task, classifier(interrupt))


WRONG = {
    "negative seed": ({"seed": -1}, "seed is -1; expected a whole number from 0"),
    "large seed": ({"seed": 99_999_999_999}, "seed is 99999999999; expected"),
    "seed as text": ({"seed": "0"}, "seed is '0'; expected"),
    "class that is not there": ({"target": 3}, "unknown class '3'"),
    "target of no type": ({"target": 0.5}, "target is 0.5; expected text or a whole number"),
    "layer by number": ({"layer": 3}, "layer is 3; expected text"),
    "layer without a map": ({"layer": "head"}, r"layer 'head' of mine returns \(1, 3\)"),
    "layer that is not called": ({"layer": "features.3"}, "unknown layer"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("task", TASKS)
def test_a_bad_request_is_refused_before_anything_is_computed(task, name):
    """A bad request must fail before a plan exists, because running a plan replaces the results of the previous run."""
    wrong, words = WRONG[name]
    with pytest.raises(UsageError, match=words):
        plan(task, model=classifier(), images=images(), device="cpu", params={**TASKS[task], **wrong})


def test_the_last_seed_of_several_has_to_be_in_range_too():
    with pytest.raises(UsageError, match="from 0 to 4294967294"):
        ask("lime", seeds=2, seed=4_294_967_295)
    for seeds in (0, "2"):
        with pytest.raises(UsageError, match="seeds is"):
            ask("lime", seeds=seeds)


@pytest.mark.parametrize("methods", [[], ["gradcam", "gradcam"], 3, [3]])
def test_methods_are_at_least_one_and_each_once(methods):
    with pytest.raises(UsageError, match="method"):
        ask("cams", methods=methods)


def test_lime_accepts_only_whole_numbers_of_samples():
    for wrong in ("20", 20.5, None):
        with pytest.raises(UsageError, match=f"num_samples is {wrong!r}; expected a whole number"):
            ask("lime", num_samples=wrong)
    with pytest.raises(UsageError, match="expected a whole number, at least 2"):
        ask("lime", num_samples=1)


@pytest.mark.parametrize("wrong", [{"policy": 3}, {"segmentation": 3}, {"area": "half"}])
def test_names_and_shares_of_another_type_are_refused(wrong):
    with pytest.raises(UsageError):
        ask("comparison", **wrong)


def test_a_class_may_be_given_by_number():
    (by_number,), (by_text,) = ask("cams", target=2), ask("cams", target="2")
    assert by_number.case == by_text.case
    assert by_number["explained"].index == 2


@pytest.mark.parametrize("task", TASKS)
def test_a_model_in_training_mode_is_in_training_mode_afterwards(task):
    """While the task runs, the model is in evaluation mode. In training mode dropout would make two runs differ."""
    trained, mine = classifier(), classifier()
    trained.module.train()
    trained.module.features[0].eval()
    modes = [part.training for part in trained.module.modules()]
    first, expected = ask(task, trained)[0], ask(task, mine)[0]
    assert [part.training for part in trained.module.modules()] == modes
    assert first.stages[LOGITS].digest == expected.stages[LOGITS].digest


def test_a_model_keeps_its_mode_after_an_error_too():
    trained = classifier()
    trained.module.train()
    with pytest.raises(UsageError):
        ask("cams", trained, layer="head")
    assert all(part.training for part in trained.module.modules())
