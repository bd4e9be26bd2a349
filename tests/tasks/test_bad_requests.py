"""What every task has to refuse, and how: models that fail, and requests that cannot be met."""

import numpy as np
import pytest
import torch
from torch import nn

from xai_eval import evaluate
from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.classifier import Classifier
from xai_eval.inputs.labelled import ImageSet, LabelledImage
from xai_eval.inputs.preprocessing import fixed_size_preprocessing

GRID = {"segmentation": "slic", "num_samples": 20, "num_features": 100, "top_labels": 1, "batch_size": 10}
TASKS = {
    "cams": {"methods": ["gradcam"]},
    "lime": {"num_samples": 20, "seeds": 1, "top_labels": 1, "segmentation": "slic"},
    "lime_search": {"grid": GRID},
    "comparison": {"num_samples": 20, "segmentation": "slic"},
    "hybrid": {"num_samples": 20},
}


class Net(nn.Module):
    """Three classes; `failing` is called before every pass on something that is not zero."""

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


def pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return ImageSet("noise", (LabelledImage("one", pixels, "0" * 64),))


def ask(task, model=None, **changes):
    return evaluate(task, model=model or classifier(), images=pictures(), device="cpu", **{**TASKS[task], **changes})


def only_without_gradient(x):
    if torch.is_grad_enabled():
        raise SystemExit(0)


def only_one_at_a_time(x):
    if len(x) > 1:
        raise KeyError("more than one")


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_fails_inside_the_library_misbehaves(task):
    with pytest.raises(ModelMisbehaves, match=r"mine fails under gradcam on a batch of shape \(1, 3, 32, 32\)") as told:
        ask(task, classifier(only_without_gradient))
    assert isinstance(told.value.__cause__, SystemExit)


@pytest.mark.parametrize("task", [name for name in TASKS if name != "cams"])
def test_a_model_that_fails_on_perturbed_pictures_misbehaves(task):
    with pytest.raises(ModelMisbehaves, match="mine fails on a batch of shape .* KeyError: 'more than one'"):
        ask(task, classifier(only_one_at_a_time))


@pytest.mark.parametrize("task", TASKS)
def test_an_interruption_passes(task):
    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(task, classifier(interrupt))
