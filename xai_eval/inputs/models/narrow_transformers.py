"""Transformers for small images: torchvision's classes, narrow and shallow, behind the first layers of a small ResNet.

The first layers of a convolutional network make the tokens, in place of one large patch convolution (the *hybrid* of
Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, section 3.1). Behind a patch convolution, so small a
network learns next to nothing from a few thousand images.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import Encoder, VisionTransformer

from xai_eval.inputs.models.narrow_resnet import narrow_resnet18
from xai_eval.scenes import SIZE

# The layers of a narrow ResNet18 that each transformer begins with; an image of 96 x 96 px is a map of 24 x 24 there.
STEM_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1")
_STEM_STRIDE, _STEM_WIDTH = 8, 16
_BLOCKS, _HEADS, _MLP_RATIO = 3, 2, 4
_STAGES, _WINDOW, _HEAD_WIDTH = 2, 6, 16


def narrow_vit(num_classes: int, width: int = 64) -> nn.Module:
    """Build an untrained torchvision `VisionTransformer` with a class token, for images of 96 x 96 px.

    It has 3 blocks and 12 x 12 tokens of `width` numbers behind the class token, the only one that the head reads.

    Args:
        num_classes: number of classes.
        width: numbers per token, an even number; with 64 it has 0.2 million parameters.
    """
    model: nn.Module = VisionTransformer(
        image_size=SIZE,
        patch_size=_STEM_STRIDE,
        num_layers=_BLOCKS,
        num_heads=_HEADS,
        hidden_dim=width,
        mlp_dim=_MLP_RATIO * width,
        num_classes=num_classes,
    )
    model.conv_proj = _stem(width)
    return model


class PooledVisionTransformer(nn.Module):
    """The stem and the encoder of `narrow_vit` without a class token: the head reads the mean of all tokens.

    torchvision's `VisionTransformer` always has a class token, so its parts are put together here.

    Args:
        num_classes: number of classes.
        width: numbers per token, an even number.
    """

    def __init__(self, num_classes: int, width: int = 64) -> None:
        super().__init__()
        self.conv_proj = _stem(width)
        self.encoder = Encoder((SIZE // _STEM_STRIDE) ** 2, _BLOCKS, _HEADS, width, _MLP_RATIO * width, 0.0, 0.0)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, num_classes) of images (N, 3, 96, 96)."""
        tokens = self.conv_proj(x).flatten(2).transpose(1, 2)
        logits: torch.Tensor = self.head(self.encoder(tokens).mean(dim=1))
        return logits


def narrow_swin(num_classes: int, width: int = 64) -> nn.Module:
    """Build an untrained torchvision `SwinTransformer` for small images; its layers return (N, h, w, C).

    An image of 96 x 96 px passes two stages of two blocks, with maps of 12 x 12 and 6 x 6 and windows of 6 x 6.

    Args:
        num_classes: number of classes.
        width: channels of the first stage, a multiple of 16; with 64 it has 0.6 million parameters.
    """
    model = SwinTransformer(
        patch_size=[_STEM_STRIDE] * 2,
        embed_dim=width,
        depths=[2] * _STAGES,
        num_heads=[width * 2**stage // _HEAD_WIDTH for stage in range(_STAGES)],
        window_size=[_WINDOW] * 2,
        stochastic_depth_prob=0.0,
        num_classes=num_classes,
    )
    model.features[0][0] = _stem(width)
    built: nn.Module = model
    return built


def _stem(width: int) -> nn.Sequential:
    """Build the first layers of a narrow ResNet18, and a strided convolution that makes tokens, (N, width, 12, 12)."""
    first = narrow_resnet18(num_classes=1, width=_STEM_WIDTH)
    layers = OrderedDict((name, first.get_submodule(name)) for name in STEM_LAYERS)
    layers["conv_last"] = nn.Conv2d(_STEM_WIDTH, width, kernel_size=3, stride=2, padding=1)
    return nn.Sequential(layers)
