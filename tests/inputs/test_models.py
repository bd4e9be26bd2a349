from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.preprocessing import imagenet_preprocessing

_ALL = r"Known: scenes:objects.*file:PATH\.py:FACTORY\.$"


@pytest.mark.parametrize(
    ("spec", "told"),
    [("resnet5000", _ALL), ("", _ALL), (":", _ALL), ("net:py", _ALL), ("torchvison:resnet50", "torchvision:NAME")],
)
def test_an_unknown_kind_of_model(spec: str, told: str) -> None:
    with pytest.raises(UsageError, match=rf"unknown model spec .*{told}"):
        load_model(spec)


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("resnet50", "torchvision:resnet50"),
        ("vit_small_patch16_224", "timm:vit_small_patch16_224"),
        ("/models/net.py:net", "file:/models/net.py:net"),
        ("net.py", "file:net.py:FACTORY"),
    ],
)
def test_a_name_without_its_kind_is_told_with_it(spec: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"Did you mean {meant}\?"):
        load_model(spec)


@pytest.mark.parametrize("kind", ["scenes", "torchvision", "places365", "timm", "file"])
def test_a_kind_without_a_name(kind: str) -> None:
    with pytest.raises(UsageError, match="names no model"):
        load_model(f"{kind}:")


def test_a_classifier_passes_through_in_evaluation_mode() -> None:
    mine = Classifier("mine", nn.Conv2d(3, 2, 1), imagenet_preprocessing(), ("a", "b"))
    mine.module.train()
    assert load_model(mine) is mine
    assert not mine.module.training


@pytest.mark.parametrize("device", ["tpu9", "cuda:77", ""])
def test_a_device_that_is_not_there(device: str) -> None:
    mine = Classifier("mine", nn.Conv2d(3, 2, 1), imagenet_preprocessing(), ("a", "b"))
    with pytest.raises(UsageError, match="cannot be used here"):
        load_model(mine, device=device)


def test_the_device_may_be_left_to_the_machine() -> None:
    mine = Classifier("mine", nn.Conv2d(3, 2, 1), imagenet_preprocessing(), ("a", "b"))
    kind = next(load_model(mine, device="auto").module.parameters()).device.type
    assert kind == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_bare_module_is_to_be_wrapped() -> None:
    with pytest.raises(UsageError, match=r"bare Conv2d.* Wrap it: xai_eval.Classifier\("):
        load_model(nn.Conv2d(3, 2, 1))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the model is a int; expected a spec"):
        load_model(3)  # type: ignore[arg-type]
