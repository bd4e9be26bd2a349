"""What is found out about the preparation of images is compared with what the library itself uses for that model."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from skimage import data
from tiny_models import Tiny
from torch import nn
from torchvision import models as tv
from torchvision.models import (
    EfficientNet_B1_Weights,
    Inception_V3_Weights,
    MobileNet_V3_Small_Weights,
    ResNet18_Weights,
)

from xai_eval.errors import UsageError
from xai_eval.inputs.clip.clip import load_clip
from xai_eval.inputs.models.known_preprocessing import preprocessing_for
from xai_eval.inputs.models.models import load_model

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

CAT = Image.fromarray(data.chelsea())


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"net": inner})

    def forward(self, batch: torch.Tensor) -> Any:
        return self.inner["net"](batch)


TORCHVISION = {
    "mobilenet_v3_small": (lambda: tv.mobilenet_v3_small(), MobileNet_V3_Small_Weights.IMAGENET1K_V1),
    "inception_v3": (lambda: tv.inception_v3(init_weights=False, num_classes=7), Inception_V3_Weights.IMAGENET1K_V1),
    "efficientnet_b1": (lambda: tv.efficientnet_b1(num_classes=3), EfficientNet_B1_Weights.IMAGENET1K_V1),
    "resnet18": (lambda: tv.resnet18(num_classes=5), ResNet18_Weights.IMAGENET1K_V1),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_torchvision_model_gets_the_transforms_of_its_weights(name: str) -> None:
    make, weights = TORCHVISION[name]
    module = make() if name == "inception_v3" else Wrapped(make())
    known = preprocessing_for(module, "file:m.py:f")
    assert torch.equal(known.preprocess(CAT), weights.transforms()(CAT))
    assert f"as torchvision prepares them for {name} (" in known.how
    assert "return an xai_eval.Classifier" in known.how


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("resnet18.a1_in1k", {}, (224, 224)),
        ("mobilevit_xxs", {}, (256, 256)),
        ("vit_tiny_patch16_224", {"img_size": (96, 160), "depth": 1}, (96, 160)),
        ("mixer_s32_224", {}, (224, 224)),
    ],
)
def test_a_timm_model_gets_timms_transform_at_the_size_that_it_was_built_for(
    name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    module = timm.create_model(name, pretrained=False, num_classes=4, **options)
    config = {**timm.data.resolve_model_data_config(module), "input_size": (3, *size)}
    known = preprocessing_for(Wrapped(module), "file:m.py:f")
    assert torch.equal(known.preprocess(CAT), timm.data.create_transform(**config, is_training=False)(CAT))
    assert f"timm's configuration of the {type(module).__name__} says ({size[1]} x {size[0]} px)" in known.how


def test_a_part_of_open_clip() -> None:
    clip = load_clip("scenes").module
    known = preprocessing_for(Wrapped(clip.visual), "file:m.py:f")
    transform = image_transform_v2(PreprocessCfg(**clip.visual.preprocess_cfg), is_train=False)
    assert torch.equal(known.preprocess(CAT), transform(CAT))
    assert "open_clip's configuration of the ModifiedResNet" in known.how


def test_a_transformers_model_gets_its_size_and_the_values_of_its_processor() -> None:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        image_size=64, num_hidden_layers=1, hidden_size=32, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    known = preprocessing_for(Wrapped(ViTForImageClassification(config)), "file:m.py:f")
    square = CAT.resize((64, 64))
    expected = ViTImageProcessor(size={"height": 64, "width": 64})(square, return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(known.preprocess(square), expected, atol=1e-6)
    assert "64 x 64 px, the size in its configuration" in known.how
    assert "of ViTImageProcessor, which are assumed" in known.how


def test_a_net_that_says_nothing_is_prepared_as_for_imagenet_and_that_is_said() -> None:
    known = preprocessing_for(Tiny(), "file:m.py:f")
    assert torch.equal(known.preprocess(CAT), ResNet18_Weights.IMAGENET1K_V1.transforms()(CAT))
    assert known.how.startswith("The model does not say how its images are prepared.")
    assert "224 x 224 px" in known.how
    assert "return an xai_eval.Classifier" in known.how


class Touchy(Tiny):
    """A net that raises if it is asked for what it has not."""

    def __getattr__(self, name: str) -> Any:
        if name in ("default_cfg", "preprocess_cfg", "config"):
            raise RuntimeError(f"no {name} here")
        return super().__getattr__(name)


def test_a_net_that_raises_when_it_is_asked_is_one_that_says_nothing() -> None:
    assert preprocessing_for(Touchy(), "file:m.py:f").how.startswith("The model does not say")


class Flat(nn.Module):
    """A net of one fixed size, which it keeps to itself."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.head = nn.Linear(3 * side * side, 2)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(batch.flatten(1))


class Patches(nn.Module):
    """A small transformer that only its position embedding tells the size of."""

    def __init__(self, side: int, extra: int) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 14, 14)
        self.extra = nn.Parameter(torch.zeros(1, extra, 8))
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side + extra, 8))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        tokens = self.cut(batch).flatten(2).transpose(1, 2)
        return (torch.cat([self.extra.expand(len(batch), -1, -1), tokens], 1) + self.pos_embed).mean(1)


class Named(Tiny):
    """It takes any size, and says which it was trained with."""

    image_size = (80, 120)


@pytest.mark.parametrize(
    ("module", "size", "said"),
    [
        (Flat(32), (32, 32), "found by trying sizes"),
        (Flat(299), (299, 299), "found by trying sizes"),
        (Patches(5, 1), (70, 70), "found by trying sizes"),
        (Patches(7, 5), (98, 98), "found by trying sizes"),
        (Named(), (80, 120), "the size that the model names"),
    ],
)
def test_a_size_that_the_net_tells(module: nn.Module, size: tuple[int, int], said: str) -> None:
    known = preprocessing_for(module, "file:m.py:f")
    assert tuple(known.preprocess(CAT).shape) == (3, *size)
    assert f"{size[1]} x {size[0]} px, " in known.how
    assert said in known.how
    assert "mean and standard deviation, which are assumed" in known.how


class Square(Tiny):
    img_size = 96


def test_a_named_size_is_cut_from_the_centre_as_for_imagenet() -> None:
    known = preprocessing_for(Wrapped(Square()), "file:m.py:f")
    expected = ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=96, resize_size=110)
    assert torch.equal(known.preprocess(CAT), expected(CAT))


@pytest.mark.parametrize(("channels", "words"), [(1, r"1 channel \(.*Grayscale\(\)"), (4, r"4 channels \(")])
def test_other_channels_are_refused_for_the_true_reason(channels: int, words: str) -> None:
    module = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UsageError, match=rf"file:m.py:f takes images of {words}.*first convolution is '0'|{words}"):
        preprocessing_for(module, "file:m.py:f")


def test_the_mode_of_the_module_is_left_as_it_was() -> None:
    module = Tiny().train()
    preprocessing_for(module, "file:m.py:f")
    assert module.training


def test_a_trial_does_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    preprocessing_for(torch.compile(Tiny(), backend=backend), "file:m.py:f")
    assert compiled == []


def test_a_file_model_is_prepared_as_its_library_says(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(
        textwrap.dedent(
            """
            import torchvision

            def net():
                return torchvision.models.mobilenet_v3_small(num_classes=4)

            def grey():
                net = torchvision.models.mobilenet_v3_small(num_classes=4)
                net.features[0][0] = torchvision.ops.Conv2dNormActivation(1, 16, stride=2)[0]
                return net
            """
        )
    )
    expected = MobileNet_V3_Small_Weights.IMAGENET1K_V1.transforms()(CAT)
    assert torch.equal(load_model(f"file:{path}:net").preprocess(CAT), expected)
    with pytest.raises(UsageError, match=r"file:m\.py:grey takes images of 1 channel"):
        load_model(f"file:{path}:grey")
