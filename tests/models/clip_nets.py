"""Zero-shot classifiers from open_clip: how like an image is to each of a few texts."""

from __future__ import annotations

from typing import Any

import torch
from lively import lively
from open_clip.model import CLIP
from torch import Tensor, nn

WORDS = ("cat", "dog", "car", "tree")
_TEXT = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}


class ZeroShot(nn.Module):
    """Returns 100 times the cosine between an image and each text."""

    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        clip = CLIP(embed_dim=16, vision_cfg={"image_size": 64, **vision}, text_cfg=_TEXT)
        with torch.no_grad():
            texts = clip.encode_text(torch.randint(1, 60, (len(WORDS), 8)), normalize=True)
        self.visual = clip.visual
        self.register_buffer("texts", texts)
        self.class_names = WORDS

    def forward(self, images: Tensor) -> Tensor:
        features = nn.functional.normalize(self.visual(images), dim=-1)
        return 100 * features @ self.texts.T


class ImageTower(nn.Module):
    """Returns the features of an image."""

    def __init__(self, vision: dict[str, Any]) -> None:
        super().__init__()
        self.visual = CLIP(embed_dim=16, vision_cfg={"image_size": 64, **vision}, text_cfg=_TEXT).visual

    def forward(self, images: Tensor) -> Tensor:
        return self.visual(images)


def image_tower() -> nn.Module:
    return lively(lambda: ImageTower({"layers": 2, "width": 24, "head_width": 12, "patch_size": 16}), 64)


def resnet() -> nn.Module:
    """Its last layer pools by attention, in which the places are the keys and the values."""
    return lively(lambda: ZeroShot({"layers": [1, 1, 1, 1], "width": 16}), 64)


def vit() -> nn.Module:
    return lively(lambda: ZeroShot({"layers": 2, "width": 24, "head_width": 12, "patch_size": 16}), 64)


def vit_that_averages() -> nn.Module:
    options = {"layers": 2, "width": 24, "head_width": 12, "patch_size": 16, "pool_type": "avg"}
    return lively(lambda: ZeroShot(options), 64)


def convnext() -> nn.Module:
    options = {"timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear"}
    return lively(lambda: ZeroShot(options), 64)
