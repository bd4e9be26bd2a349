"""Images and networks that cost what photographs and trained networks cost, and need no download."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torchvision.models import VisionTransformer

from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.probes.probe_set import ProbeImage
from xai_eval.scenes import render

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PATCH = 16
# How a photograph of ImageNet is stored.
_HEIGHT, _WIDTH, _QUALITY = 375, 500, 90
_DIFFERENT = 64


def scene_pixels(seed: int, side: int) -> NDArray[np.uint8]:
    """Return a scene, uint8 (side, side, 3)."""
    return np.asarray(Image.fromarray(render(seed).pixels).resize((side, side), Image.Resampling.BICUBIC))


def random_network(name: str, device: torch.device) -> nn.Module:
    """Return a network of torchvision in evaluation mode, always with the same random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.get_model(name)
    found: nn.Module = network.eval().to(device)
    return found


def random_transformer(side: int, layers: int, channels: int, device: torch.device) -> nn.Module:
    """Return a vision transformer of torchvision of patches of 16 x 16 pixels, always with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network: VisionTransformer = VisionTransformer(
            side, PATCH, layers, max(1, channels // 64), channels, 4 * channels
        )
        # A new one has a head of zeros, which makes every score 0.
        nn.init.normal_(network.heads.head.weight, std=0.1)
    found: nn.Module = network.eval().to(device)
    return found


def random_classifier(name: str, side: int, device: torch.device) -> Classifier:
    """Return a classifier with random weights for images of one size."""
    prepare = fixed_size_preprocessing(side, MEAN, DEVIATION)
    return Classifier(name, random_network(name, device), prepare, tuple(map(str, range(1000))))


@dataclass(frozen=True)
class StoredPhotographs:
    """JPEG files in memory, of the size of ImageNet's photographs; some scenes are drawn again and again."""

    files: tuple[bytes, ...]

    @classmethod
    def drawn(cls) -> StoredPhotographs:
        """Draw a few dozen different scenes."""
        return cls(tuple(map(_jpeg, range(_DIFFERENT))))

    def read(self, position: int) -> ProbeImage:
        """Decode the image at a position."""
        with Image.open(io.BytesIO(self.files[position % len(self.files)]), formats=["JPEG"]) as image:
            return ProbeImage(str(position), np.asarray(image.convert("RGB")))


def _jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    scene = Image.fromarray(render(seed).pixels).resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
    scene.save(buffer, "jpeg", quality=_QUALITY)
    return buffer.getvalue()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
