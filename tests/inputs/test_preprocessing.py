from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import ResNet18_Weights, ResNet50_Weights, ViT_B_16_Weights
from torchvision.transforms import functional as F

from xai_eval.inputs.models.preprocessing import (
    TorchvisionPreset,
    fixed_size_preprocessing,
    imagenet_preprocessing,
    prepared_shape,
)

PRESETS = [
    ResNet18_Weights.IMAGENET1K_V1,
    ResNet50_Weights.IMAGENET1K_V2,
    ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1,
]
SIZES = [(375, 500), (500, 333), (224, 224), (97, 480)]


def random_image(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.RandomState(1).randint(0, 256, (height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weights", PRESETS)
def test_the_tensor_is_the_librarys_bit_for_bit(weights: object, size: tuple[int, int]) -> None:
    preset = TorchvisionPreset(weights.transforms())
    assert torch.equal(preset(random_image(*size)), weights.transforms()(random_image(*size)))


def test_the_default_is_resize_256_crop_224_and_imagenet_statistics() -> None:
    image = random_image(375, 500)
    by_hand = F.normalize(
        F.to_tensor(F.center_crop(F.resize(image, 256), 224)), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    assert torch.equal(imagenet_preprocessing()(image), by_hand)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weights", PRESETS)
def test_the_view_is_the_tensor_before_normalisation(weights: object, size: tuple[int, int]) -> None:
    preset = TorchvisionPreset(weights.transforms())
    tensor = preset(random_image(*size))
    mean = torch.tensor(preset.transforms.mean)[:, None, None]
    std = torch.tensor(preset.transforms.std)[:, None, None]
    seen = (tensor * std + mean).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    view = preset.view(random_image(*size))
    assert view.dtype == np.uint8
    assert np.array_equal(view, seen)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weights", PRESETS)
def test_views_lead_to_the_very_tensor_of_the_image(weights: object, size: tuple[int, int]) -> None:
    preset = TorchvisionPreset(weights.transforms())
    view = torch.from_numpy(preset.view(random_image(*size)).copy())
    expected = preset(random_image(*size))
    assert torch.equal(preset.from_view(torch.stack([view, view])), torch.stack([expected, expected]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weights", PRESETS)
def test_a_mask_lands_where_the_pixels_land(weights: object, size: tuple[int, int]) -> None:
    preset = TorchvisionPreset(weights.transforms())
    height, width = size
    mask = np.zeros(size, dtype=bool)
    mask[height // 3 : height // 2, width // 2 - height // 8 : width // 2 + height // 4] = True
    drawn = Image.fromarray(np.repeat(mask[:, :, None], 3, axis=2).astype(np.uint8) * 255)
    seen = preset.view(drawn)[:, :, 0] > 127
    moved = preset.mask(mask)
    assert moved.dtype == np.bool_
    assert moved.shape == seen.shape
    assert (moved & seen).sum() / (moved | seen).sum() > 0.97


def test_a_mask_of_one_pixel_in_the_crop_keeps_its_place() -> None:
    mask = np.zeros((256, 256), dtype=bool)
    mask[100, 50] = True
    # The centre crop from 256 to 224 takes 16 px from each side.
    assert np.argwhere(imagenet_preprocessing().mask(mask)).tolist() == [[84, 34]]


def test_images_of_the_fixed_size_pass_as_they_are() -> None:
    preset = fixed_size_preprocessing(96, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    image = random_image(96, 96)
    assert np.array_equal(preset.view(image), np.asarray(image))
    expected = F.normalize(F.to_tensor(image), (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert torch.equal(preset(image), expected)
    mask = np.asarray(image)[:, :, 0] > 100
    assert np.array_equal(preset.mask(mask), mask)


def test_other_images_are_fitted_to_the_fixed_size() -> None:
    assert tuple(fixed_size_preprocessing(96, (0.5,) * 3, (0.2,) * 3)(random_image(300, 200)).shape) == (3, 96, 96)


def test_prepared_shape() -> None:
    assert prepared_shape(imagenet_preprocessing()) == (3, 224, 224)


def test_descriptions_are_json_and_tell_presets_apart() -> None:
    presets = [TorchvisionPreset(weights.transforms()) for weights in PRESETS]
    texts = [json.dumps(preset.describe()) for preset in presets]
    assert len(set(texts)) == len(PRESETS)
    assert presets[1].describe() == {
        "kind": "torchvision ImageClassification",
        "resize": 232,
        "crop": 224,
        "interpolation": "bilinear",
        "antialias": True,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
