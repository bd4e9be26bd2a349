"""Classifiers of Hugging Face's transformers, made from small configurations, as `from_config` makes them."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from lively import lively
from torch import Tensor, nn

CLASSES = 6
_ATTENTION = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_VIT = {"image_size": 64, "patch_size": 16, "num_labels": CLASSES, **_ATTENTION}


def _net(kind: str, **options: Any) -> nn.Module:
    config = getattr(transformers, f"{kind}Config")(**options)
    return lively(lambda: getattr(transformers, f"{kind}ForImageClassification")(config), 64)


def logits_of(output: Any) -> Tensor:
    return output.logits


def vit() -> nn.Module:
    return _net("ViT", **_VIT)


def deit() -> nn.Module:
    return _net("DeiT", **_VIT)


def deit_distilled() -> nn.Module:
    config = transformers.DeiTConfig(**_VIT)
    return lively(lambda: transformers.DeiTForImageClassificationWithTeacher(config), 64)


def beit() -> nn.Module:
    return _net("Beit", use_absolute_position_embeddings=True, **_VIT)


def dinov2() -> nn.Module:
    return _net("Dinov2", **_VIT)


def dinov2_with_registers() -> nn.Module:
    return _net("Dinov2WithRegisters", num_register_tokens=3, **_VIT)


def siglip() -> nn.Module:
    config = transformers.SiglipConfig(
        vision_config={"image_size": 64, "patch_size": 16, **_ATTENTION}, num_labels=CLASSES
    )
    return lively(lambda: transformers.SiglipForImageClassification(config), 64)


def clip() -> nn.Module:
    config = transformers.CLIPConfig(
        vision_config={"image_size": 64, "patch_size": 16, **_ATTENTION}, num_labels=CLASSES
    )
    return lively(lambda: transformers.CLIPForImageClassification(config), 64)


def resnet() -> nn.Module:
    return _net("ResNet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=CLASSES)


def swin() -> nn.Module:
    return _net("Swin", image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, num_labels=CLASSES)


def swin_v2() -> nn.Module:
    return _net(
        "Swinv2", image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, num_labels=CLASSES
    )


class _Marked(nn.Module):
    """A block that returns a tuple, with a module that returns its tensor alone, as pytorch-grad-cam needs it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.mark = block, nn.Identity()

    def forward(self, *given: Any, **named: Any) -> tuple[Any, ...]:
        tokens, *others = self.block(*given, **named)
        return (self.mark(tokens), *others)


def swin_v2_marked() -> nn.Module:
    network = swin_v2()
    blocks = network.get_submodule("swinv2.encoder.layers.1.blocks")
    blocks[0] = _Marked(blocks[0])  # type: ignore[index, operator]
    return network


def convnext_v2() -> nn.Module:
    return _net("ConvNextV2", hidden_sizes=[8, 16, 24], depths=[1, 1, 1], num_stages=3, num_labels=CLASSES)


def convnext() -> nn.Module:
    return _net("ConvNext", hidden_sizes=[8, 16, 24], depths=[1, 1, 1], num_stages=3, num_labels=CLASSES)


def mobilevit() -> nn.Module:
    return _net("MobileViT", image_size=64, num_labels=CLASSES)


def poolformer() -> nn.Module:
    return _net("PoolFormer", hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_labels=CLASSES)


def segformer() -> nn.Module:
    return _net(
        "Segformer",
        hidden_sizes=[8, 8, 16, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        num_labels=CLASSES,
    )


def levit() -> nn.Module:
    return _net("Levit", image_size=64, num_labels=CLASSES)


def cvt() -> nn.Module:
    return _net("Cvt", embed_dim=[8, 16, 24], num_heads=[1, 2, 3], depth=[1, 1, 2], num_labels=CLASSES)


def dinov2_without_a_head() -> nn.Module:
    """Its `pooler_output` is the class token."""
    config = transformers.Dinov2Config(**_VIT)
    return lively(lambda: transformers.Dinov2Model(config), 64)


class Probe(nn.Module):
    """A linear layer on the class tokens of two layers, as DINOv2 is evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = transformers.Dinov2Model(transformers.Dinov2Config(**_VIT))
        self.head = nn.Linear(2 * _VIT["hidden_size"], CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        states = self.backbone(images, output_hidden_states=True).hidden_states
        return self.head(torch.cat([states[-1][:, 0], states[-2][:, 0]], 1))


def probe_of_states() -> nn.Module:
    return lively(Probe, 64)


def vit_backbone_alone() -> nn.Module:
    """Without a head: it returns a state per token."""
    config = transformers.ViTConfig(**_VIT)
    return lively(lambda: transformers.ViTModel(config), 64)
