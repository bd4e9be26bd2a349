"""Classifiers of torchvision, every family, with random weights. Transformers are small ones of the same code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lively import lively
from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.maxvit import MaxVit
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vision_transformer import VisionTransformer

CLASSES = 6


def published(name: str, size: int = 64) -> Callable[[], nn.Module]:
    """Return a factory of an architecture that torchvision publishes by name."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return lambda: lively(lambda: models.get_model(name, weights=None, num_classes=CLASSES, **options), size)


def vgg11_with_a_narrow_head() -> nn.Module:
    """Has 64 units in each hidden layer of its head, whose 120 million weights take seconds to make and to digest."""

    def make() -> nn.Module:
        network = models.vgg11(weights=None, num_classes=CLASSES)
        hidden = [index for index, part in enumerate(network.classifier) if isinstance(part, nn.Linear)]
        widths = [network.classifier[hidden[0]].in_features, 64, 64, CLASSES]
        for index, before, after in zip(hidden, widths[:-1], widths[1:], strict=True):
            network.classifier[index] = nn.Linear(before, after)
        return network

    return lively(make, 64)


def resnet_without_head() -> nn.Module:
    """Returns 512 features of an image."""

    def make() -> nn.Module:
        network = models.resnet18(weights=None)
        network.fc = nn.Identity()
        return network

    return lively(make, 64)


def vit() -> nn.Module:
    return lively(lambda: VisionTransformer(64, 16, 2, 2, 24, 48, num_classes=CLASSES), 64)


def swin() -> nn.Module:
    return lively(lambda: SwinTransformer(window_size=[4, 4], **_SWIN), 64)


def swin_v2() -> nn.Module:
    v2 = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    return lively(lambda: SwinTransformer(window_size=[4, 4], **v2, **_SWIN), 64)


def maxvit() -> nn.Module:
    make = partial(
        MaxVit,
        input_size=(64, 64),
        stem_channels=16,
        partition_size=2,
        block_channels=[16, 32],
        block_layers=[1, 1],
        head_dim=16,
        stochastic_depth_prob=0.0,
        num_classes=CLASSES,
    )
    return lively(make, 64)


def convnext() -> nn.Module:
    blocks = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)]
    return lively(lambda: ConvNeXt(blocks, num_classes=CLASSES), 64)


def lraspp() -> nn.Module:
    """Segmentation."""
    make = models.segmentation.lraspp_mobilenet_v3_large
    return lively(lambda: make(weights=None, weights_backbone=None, num_classes=CLASSES), 64)


def ssdlite() -> nn.Module:
    """Detection."""
    make = models.detection.ssdlite320_mobilenet_v3_large
    return lively(lambda: make(weights=None, weights_backbone=None, num_classes=CLASSES), 64)


def vit_whose_head_is_untrained() -> nn.Module:
    """As torchvision makes it: all weights of the head are 0."""
    return VisionTransformer(64, 16, 1, 2, 24, 48, num_classes=CLASSES)


_SWIN = {"patch_size": [4, 4], "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "num_classes": CLASSES}
