"""Prepare images for a model by the library's own transform, and resize and crop views and masks in the same way.

The view of an image is what remains of it after resizing and cropping, before the values are normalised.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.models import ResNet18_Weights
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Preprocessing(Protocol):
    """How a model's images are prepared."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Turn an RGB image into the model's input (3, H, W), without the batch axis."""
        ...

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the view of an image: resized and cropped but not normalised, uint8 (H, W, 3)."""
        ...

    def from_view(self, views: torch.Tensor) -> torch.Tensor:
        """Turn views, uint8 (N, H, W, 3), into the model's input (N, 3, H, W), on the device of the views."""
        ...

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Resize and crop a mask of an image, (h, w), like the view, (H, W), by nearest neighbour."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return all parameters as JSON values; preprocessings that compute different inputs must differ here."""
        ...


@runtime_checkable
class CarriesLabels(Protocol):
    """A preprocessing that resizes and crops all labels of an image at once; others do it label by label."""

    def labels(self, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """Resize and crop a label map, (h, w), as `Preprocessing.mask` does with the mask of each label, (H, W)."""
        ...


@dataclass(frozen=True)
class TorchvisionPreset:
    """A classification preset of torchvision: resize the shorter side, crop the centre, normalise.

    The preset itself computes the input, so a torchvision release that changes the preset is noticed.

    Attributes:
        transforms: what `weights.transforms()` returns (`ImageClassification`).
    """

    transforms: Any

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the preset's own tensor, float32 (3, H, W)."""
        tensor: torch.Tensor = self.transforms(image)
        return tensor

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the resized and cropped image, uint8 (H, W, 3)."""
        return np.asarray(self._geometry(image, self.transforms.interpolation), dtype=np.uint8)

    def from_view(self, views: torch.Tensor) -> torch.Tensor:
        """Normalise views as the preset does after resizing and cropping, float32 (N, 3, H, W)."""
        return normalised(views, self.transforms.mean, self.transforms.std)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Resize and crop a mask like the image, bool (h, w) to bool (H, W)."""
        drawn = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255)
        return np.asarray(self._geometry(drawn, InterpolationMode.NEAREST)) > 0

    def labels(self, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """Resize and crop a label map like a mask, int32 (h, w) to int32 (H, W); 0 in an added border."""
        return np.asarray(self._geometry(Image.fromarray(labels), InterpolationMode.NEAREST), dtype=np.int32)

    def describe(self) -> dict[str, Any]:
        """Return sizes in pixels, the interpolation, and the normalisation for values in [0, 1]."""
        preset = self.transforms
        return {
            "kind": f"torchvision {type(preset).__name__}",
            "resize": preset.resize_size[0],
            "crop": preset.crop_size[0],
            "interpolation": preset.interpolation.value,
            "antialias": preset.antialias,
            "mean": list(preset.mean),
            "std": list(preset.std),
        }

    def _geometry(self, image: Image.Image, interpolation: InterpolationMode) -> Image.Image:
        preset = self.transforms
        resized = F.resize(image, preset.resize_size, interpolation=interpolation, antialias=preset.antialias)
        cropped: Image.Image = F.center_crop(resized, preset.crop_size)
        return cropped


def normalised(views: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Scale images, uint8 (N, H, W, 3), to [0, 1], and normalise each channel: float32 (N, 3, H, W)."""
    scaled: torch.Tensor = F.convert_image_dtype(views.permute(0, 3, 1, 2).contiguous(), torch.float32)
    if 0 in std:
        raise ValueError(f"std is {tuple(std)}; expected numbers other than 0, because values are divided by them.")
    # What torchvision's `normalize` computes. It copies both rows to the device in every call, and waits for it.
    return scaled.sub_(_per_channel(tuple(mean), views.device)).div_(_per_channel(tuple(std), views.device))


@functools.cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return one number per channel, (C, 1, 1), on a device."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def prepared_shape(preprocess: Preprocessing) -> tuple[int, ...]:
    """Return the shape (3, H, W) of a prepared image, measured on a square image of 256 px."""
    return tuple(preprocess(Image.new("RGB", (256, 256))).shape)


def prepared_dtype(preprocess: Preprocessing) -> torch.dtype:
    """Return the type of the numbers of a prepared image."""
    return preprocess(Image.new("RGB", (256, 256))).dtype


def imagenet_preprocessing() -> TorchvisionPreset:
    """Return the usual ImageNet preprocessing: shorter side to 256 px, centre crop of 224 px, normalised."""
    return TorchvisionPreset(ResNet18_Weights.IMAGENET1K_V1.transforms())


def fixed_size_preprocessing(size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> TorchvisionPreset:
    """Return the preprocessing of a model for square images of `size` px; other images are resized and cropped.

    Args:
        size: side of the model's square input in pixels.
        mean: mean of each channel, for values in [0, 1].
        std: standard deviation of each channel, for values in [0, 1].
    """
    return TorchvisionPreset(
        ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=size, resize_size=size, mean=mean, std=std)
    )
