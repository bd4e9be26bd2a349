from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_models import Tiny
from torch import nn

from xai_eval.errors import InputUnavailable, ModelMisbehaves, UsageError
from xai_eval.inputs.models import timm_preprocessing
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.preprocessing import imagenet_preprocessing


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'xai-eval\[timm\]'"):
        load_model("timm:resnet18")


def fake_timm(monkeypatch: pytest.MonkeyPatch, create: Callable[..., nn.Module]) -> None:
    """A stand-in with the few names that are used, where the optional library is not installed."""
    from torchvision import transforms

    def create_transform(*, interpolation: str, is_training: bool, **_: Any) -> transforms.Compose:
        assert not is_training
        mode = transforms.InterpolationMode(interpolation)
        steps = [transforms.Resize(40, mode), transforms.CenterCrop(32), transforms.ToTensor()]
        return transforms.Compose([*steps, transforms.Normalize((0.5,) * 3, (0.25,) * 3)])

    library, library_data = ModuleType("timm"), ModuleType("timm.data")
    library_data.create_transform = create_transform
    library_data.resolve_model_data_config = lambda module: {
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
    }
    library.data = library_data
    library.is_model = lambda name: name == "tiny"
    library.list_models = lambda: ["tiny"]
    library.create_model = create
    monkeypatch.setitem(sys.modules, "timm", library)
    monkeypatch.setitem(sys.modules, "timm.data", library_data)


def test_a_timm_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}

    def create(name: str, *, pretrained: bool) -> Tiny:
        made[name] = pretrained
        return Tiny()

    fake_timm(monkeypatch, create)
    loaded = load_model("timm:tiny")
    assert made == {"tiny": True}
    assert loaded.name == "timm:tiny"
    assert loaded.class_names == ("class 0", "class 1")
    image = Image.effect_noise((90, 60), 50).convert("RGB")
    view = torch.from_numpy(loaded.preprocess.view(image).copy()).permute(2, 0, 1) / 255
    assert torch.allclose(loaded.preprocess(image), (view - 0.5) / 0.25)
    again = loaded.preprocess.from_view(torch.from_numpy(loaded.preprocess.view(image).copy())[None])
    assert torch.equal(again[0], loaded.preprocess(image))
    assert json.dumps(loaded.preprocess.describe())


def test_a_mask_follows_timms_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm(monkeypatch, lambda *_, **__: Tiny())
    prepare = timm_preprocessing.TimmPreprocessing({"interpolation": "bicubic"})
    pixels = torch.zeros(60, 90, dtype=torch.bool)
    pixels[20:40, 30:70] = True
    drawn = Image.fromarray(pixels.numpy()).convert("RGB")
    seen, moved = prepare.view(drawn)[:, :, 0] > 127, prepare.mask(pixels.numpy())
    assert (seen & moved).sum() / (seen | moved).sum() > 0.95


def test_timm_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: Any, **__: Any) -> nn.Module:
        raise ConnectionError("no route")

    fake_timm(monkeypatch, create)
    with pytest.raises(InputUnavailable, match=r"timm:tiny cannot be loaded .*\(ConnectionError: no route\)"):
        load_model("timm:tiny")


def test_an_unknown_timm_model(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm(monkeypatch, lambda *_, **__: Tiny())
    with pytest.raises(UsageError, match=r"unknown timm model 'tinny'. Did you mean tiny"):
        load_model("timm:tinny")


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timm itself build its models, with random weights."""
    import timm

    build = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: build(name, pretrained=False))


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "convnextv2_atto",
        "mixer_s32_224",
        pytest.param("swin_tiny_patch4_window7_224", marks=pytest.mark.slow),
        pytest.param("hiera_tiny_224", marks=pytest.mark.slow),
        pytest.param("eva02_tiny_patch14_336", marks=pytest.mark.slow),
    ],
)
def test_models_of_timms_families(name: str) -> None:
    import timm

    loaded = load_model(f"timm:{name}")
    image = Image.effect_noise((400, 300), 50).convert("RGB")
    config = timm.data.resolve_model_data_config(loaded.module)
    assert torch.equal(loaded.preprocess(image), timm.data.create_transform(**config, is_training=False)(image))
    assert len(loaded.class_names) == 1000


def test_a_timm_model_without_a_classifier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    build = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: build(name, pretrained=False, num_classes=0))
    with pytest.raises(
        ModelMisbehaves, match=r"timm:convnextv2_atto has no head \(num_classes is 0\): it returns features"
    ):
        load_model("timm:convnextv2_atto")


@pytest.mark.parametrize(
    ("classes", "subset"), [(11_821, "imagenet-12k"), (21_841, "imagenet-22k"), (21_843, "imagenet-21k-goog")]
)
def test_models_of_more_of_imagenet_have_timm_s_names(classes: int, subset: str) -> None:
    timm = pytest.importorskip("timm")
    net = timm.create_model("test_resnet", pretrained=False, num_classes=classes)
    loaded = wrap_module(net.eval(), "timm:test", timm_preprocessing.timm_preprocessing(net))
    assert len(loaded.class_names) == classes
    assert loaded.classes_from == f"timm, {subset}, because the model has {classes} outputs"
    # These WordNet ids are those of ImageNet-1k for the same animals.
    for wnid, name in (("n02123045", "tabby"), ("n02007558", "flamingo")):
        assert loaded.class_names[loaded.class_index(wnid)] == name


def test_a_number_of_outputs_names_no_classes_of_another_model() -> None:
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 11_821)).eval()
    loaded = wrap_module(net, "file:f.py:net", imagenet_preprocessing())
    assert loaded.class_names[:2] == ("class 0", "class 1")
    assert loaded.class_ids is None
