"""Classifiers of timm with random weights, made small by timm's own options where a family has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timm
from lively import lively
from timm.layers import GatedMlp
from timm.models.convmixer import ConvMixer
from timm.models.efficientformer import EfficientFormer
from timm.models.hiera import Hiera
from timm.models.levit import Levit
from timm.models.metaformer import MetaFormer, Pooling
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock, SpatialGatingBlock
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from timm.models.pit import PoolingVisionTransformer
from timm.models.tnt import TNT
from timm.models.volo import VOLO
from torch import nn

CLASSES = 6


def timm_net(name: str, size: int = 64, classes: int = CLASSES, **options: Any) -> Callable[[], nn.Module]:
    """Return a factory of one of timm's architectures.

    Args:
        name: timm's name of the architecture.
        size: side of the input in pixels.
        classes: number of classes; 0 for a network without a head.
        options: options of the architecture.
    """
    return lambda: lively(lambda: timm.create_model(name, pretrained=False, num_classes=classes, **options), size)


def small_vit(name: str, size: int = 64, classes: int = CLASSES) -> Callable[[], nn.Module]:
    """Return a factory of one of timm's plain transformers with two blocks."""
    return timm_net(name, size, classes, img_size=size, embed_dim=24, depth=2, num_heads=2)


def small_swin(name: str) -> Callable[[], nn.Module]:
    """Return a factory of one of timm's Swin transformers with two stages of two blocks."""
    return timm_net(name, img_size=64, embed_dim=16, depths=(2, 2), num_heads=(2, 2), window_size=4)


def four_tokens() -> nn.Module:
    """Its 512 channels could be taken for tokens in a hundred ways."""
    sizes = {"img_size": 64, "embed_dim": 512, "depth": 1, "num_heads": 2}
    pooling = {"global_pool": "avg", "class_token": False, "fc_norm": False}
    return timm_net("vit_base_patch32_224", **sizes, **pooling)()


def wide_vit() -> nn.Module:
    sizes = {"img_size": (64, 112), "embed_dim": 24, "depth": 2, "num_heads": 2}
    return lively(lambda: timm.create_model("vit_tiny_patch16_224", num_classes=CLASSES, **sizes), 64)


def wide_swin() -> nn.Module:
    sizes = {"img_size": (64, 96), "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 2), "window_size": 4}
    return lively(lambda: timm.create_model("swin_tiny_patch4_window7_224", num_classes=CLASSES, **sizes), 64)


def mixer() -> nn.Module:
    return lively(lambda: MlpMixer(img_size=64, **_MIXER), 64)


def gmlp() -> nn.Module:
    parts = {"mlp_ratio": 6, "block_layer": SpatialGatingBlock, "mlp_layer": GatedMlp}
    return lively(lambda: MlpMixer(img_size=64, **parts, **_MIXER), 64)


def resmlp() -> nn.Module:
    return lively(lambda: MlpMixer(img_size=64, mlp_ratio=4, block_layer=ResBlock, norm_layer=Affine, **_MIXER), 64)


def convmixer() -> nn.Module:
    return lively(lambda: ConvMixer(dim=24, depth=2, kernel_size=3, patch_size=8, num_classes=CLASSES), 64)


def efficientformer() -> nn.Module:
    """Its attention has 7 x 7 places, so that it takes images of 224 px only."""
    make = lambda: EfficientFormer(depths=(1, 1, 1, 2), embed_dims=(8, 8, 16, 24), num_vit=1, num_classes=CLASSES)  # noqa: E731
    return lively(make, 224)


def hiera() -> nn.Module:
    options = {"embed_dim": 16, "num_heads": 1, "stages": (1, 1, 1, 2)}
    return lively(lambda: Hiera(img_size=(128, 128), num_classes=CLASSES, **options), 128)


def poolformer() -> nn.Module:
    return lively(lambda: MetaFormer(dims=(8, 16, 24), depths=(1, 1, 2), token_mixers=Pooling, num_classes=CLASSES), 64)


def mvit_v2() -> nn.Module:
    config = MultiScaleVitCfg(depths=(1, 2), embed_dim=32, num_heads=1)
    return lively(lambda: MultiScaleVit(config, img_size=64, num_classes=CLASSES), 64)


def pit() -> nn.Module:
    sizes = {"base_dims": (12, 12), "depth": (1, 2), "heads": (1, 2)}
    return lively(lambda: PoolingVisionTransformer(64, patch_size=8, stride=8, num_classes=CLASSES, **sizes), 64)


def tnt() -> nn.Module:
    sizes = {"embed_dim": 24, "inner_dim": 8, "depth": 2, "num_heads_inner": 2, "num_heads_outer": 2}
    return lively(lambda: TNT(64, num_classes=CLASSES, **sizes), 64)


_MIXER = {"patch_size": 16, "num_blocks": 2, "embed_dim": 24, "num_classes": CLASSES}


def levit(size: int) -> Callable[[], nn.Module]:
    """Return a factory of a network with an attention that makes fewer places between its stages."""
    sizes = {"embed_dim": (32, 48, 64), "key_dim": 8, "depth": (1, 1, 1), "num_heads": (2, 3, 4)}
    return lambda: lively(lambda: Levit(img_size=size, num_classes=CLASSES, **sizes), size)


def volo(auxiliary: bool) -> Callable[[], nn.Module]:
    """Return a factory of a network that adds the largest scores of its places to those of its class token."""
    sizes = {"layers": (1, 1, 2, 1), "embed_dims": (24, 48, 48, 48), "num_heads": (2, 4, 4, 4)}
    return lambda: lively(lambda: VOLO(img_size=64, num_classes=CLASSES, use_aux_head=auxiliary, **sizes), 64)
