"""Transformers of many families, so small that a pass takes milliseconds, with random weights and five classes.

Each is a real class of torchvision, timm, transformers or open_clip. The layer that its last attention reads is
written out, and how the documentation of pytorch-grad-cam would lay it over the image. Without attention it is the last
norm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 5
Reshape = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Family:
    """A family: how one is built, the side of its images in pixels, its default layer, and the layout of that."""

    build: Callable[[], nn.Module]
    layer: str
    reshape: Reshape | None
    size: int = 32

    def made(self, seed: int = 0) -> nn.Module:
        """Build the network. No weights are left at 0 or next to it, as some libraries begin last layers and scales."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = self.build().eval()
            for parameter in net.parameters():
                if parameter.abs().max() < 1e-3:
                    nn.init.normal_(parameter, std=0.05)
        return net

    def image(self, seed: int = 1) -> Tensor:
        return torch.randn(1, 3, self.size, self.size, generator=torch.Generator().manual_seed(seed))


def tokens(side: int, before: int = 0) -> Reshape:
    """The `reshape_transform` of pytorch-grad-cam's documentation, for ViT and (without a class token) for Swin."""

    def reshape_transform(tensor: Tensor, height: int = side, width: int = side) -> Tensor:
        result = tensor[:, before:, :].reshape(tensor.size(0), height, width, tensor.size(2))
        # Bring the channels to the first dimension, like in CNNs.
        return result.transpose(2, 3).transpose(1, 2)

    return reshape_transform


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.permute(0, 3, 1, 2)


VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
SWIN = {"img_size": 64, "window_size": 4, "embed_dim": 12, "depths": (2, 2), "num_heads": (2, 2)}


def timm_vit(name: str = "vit_tiny_patch16_224", **options: Any) -> Callable[[], nn.Module]:
    return timm_named(name, **{**VIT, **options})


def timm_named(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import timm

        return timm.create_model(name, pretrained=False, num_classes=CLASSES, **options)

    return build


def timm_class(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import timm.models

        return getattr(timm.models, name)(num_classes=CLASSES, **options)

    return build


def mvit() -> nn.Module:
    from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg

    config = MultiScaleVitCfg(depths=(1, 1), embed_dim=16, num_heads=1)
    return MultiScaleVit(config, img_size=(64, 64), num_classes=CLASSES)


def torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 24, "mlp_dim": 32}
    return VisionTransformer(**sizes, num_classes=CLASSES)


def torchvision_swin(version: int = 1) -> nn.Module:
    from torchvision.models import swin_transformer as swin

    second = {"block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2}
    options = second if version == 2 else {}
    return swin.SwinTransformer([4, 4], 12, [2, 2], [2, 2], [4, 4], num_classes=CLASSES, **options)


HF_SIZES = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
HF_SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}


def hugging_face(name: str, **sizes: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        config = getattr(transformers, f"{name}Config")(**(sizes or HF_SIZES), num_labels=CLASSES)
        return getattr(transformers, f"{name}ForImageClassification")(config)

    return build


class OpenClip(nn.Module):
    """The image tower of CLIP, with a head."""

    def __init__(self) -> None:
        super().__init__()
        from open_clip.transformer import VisionTransformer

        self.visual = VisionTransformer(32, 8, 24, 2, 2, 2.0, output_dim=16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.visual(x))


class TinyTransformer(nn.Module):
    """Tokens of 8 px with a class token, two blocks, and a head; `pooled` reads the mean of all tokens instead."""

    def __init__(self, attention: Callable[[int], nn.Module], pooled: bool = False, width: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.first = nn.Parameter(torch.randn(1, 1, width))
        self.blocks = nn.Sequential(*(Block(attention(width), width) for _ in range(2)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).mT
        tokens = self.norm(self.blocks(torch.cat([self.first.expand(len(x), -1, -1), tokens], dim=1)))
        return self.head(tokens.mean(1) if self.pooled else tokens[:, 0])


class Block(nn.Module):
    def __init__(self, attention: nn.Module, width: int) -> None:
        super().__init__()
        self.before, self.attention = nn.LayerNorm(width), attention
        self.between = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.between(x))


class Separate(nn.Module):
    """Queries, keys and values of the width of the tokens, by three linear layers, and a plain product of matrices."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (each(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for each in self.parts)
        weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).flatten(2))

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        return self.query, self.key, self.value


class ByEinsum(Separate):
    """The same by `einsum`, with norms of queries and keys behind their projections."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__(width, heads)
        self.query_norm, self.key_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        query, key = self.query_norm(self.query(x)), self.key_norm(self.key(x))
        query, key, value = (each.unflatten(2, (self.heads, -1)) for each in (query, key, self.value(x)))
        weights = torch.einsum("nqhc,nkhc->nhqk", query, key).softmax(-1)
        return self.out(torch.einsum("nhqk,nkhc->nqhc", weights, value).flatten(2))


class OneHead(Separate):
    """The whole width is one head, and nothing is reshaped."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.bmm(torch.bmm(self.query(x), self.key(x).mT).softmax(-1), self.value(x)))


CLASS_TOKEN = tokens(4, before=1)
FAMILIES: dict[str, Family] = {
    "timm vit": Family(timm_vit(), "blocks.1.norm1", CLASS_TOKEN),
    "timm vit, mean of all tokens": Family(timm_vit(global_pool="avg", class_token=False), "blocks.1.norm1", tokens(4)),
    "timm vit, registers": Family(timm_vit(reg_tokens=4), "blocks.1.norm1", tokens(4, before=5)),
    "timm vit, norms of queries": Family(timm_vit(qk_norm=True), "blocks.1.norm1", CLASS_TOKEN),
    "timm siglip": Family(timm_vit("vit_base_patch16_siglip_224"), "norm", tokens(4)),
    "timm deit, distilled": Family(timm_vit("deit_tiny_distilled_patch16_224"), "blocks.1.norm1", tokens(4, before=2)),
    "timm eva02": Family(timm_vit("eva02_tiny_patch14_224"), "blocks.1.norm1", CLASS_TOKEN),
    "timm dinov3": Family(timm_vit("vit_small_patch16_dinov3"), "blocks.1.norm1", tokens(4, before=5)),
    "timm beit": Family(timm_vit("beit_base_patch16_224"), "blocks.1.norm1", CLASS_TOKEN),
    "timm cait": Family(timm_vit("cait_xxs24_224"), "blocks_token_only.1.norm1", CLASS_TOKEN),
    "timm xcit": Family(timm_vit("xcit_nano_12_p16_224"), "cls_attn_blocks.1.norm1", CLASS_TOKEN),
    "timm mixer": Family(
        timm_class("MlpMixer", img_size=32, patch_size=8, embed_dim=24, num_blocks=2), "norm", tokens(4)
    ),
    "timm swin": Family(
        timm_named("swin_tiny_patch4_window7_224", **SWIN), "layers.1.blocks.1.norm1", channels_last, 64
    ),
    "timm swin v2": Family(timm_named("swinv2_tiny_window8_256", **SWIN), "layers.1.blocks.0", channels_last, 64),
    "timm mvit": Family(mvit, "stages.1.blocks.0.norm1", tokens(16), 64),
    "timm twins": Family(
        timm_named(
            "twins_svt_small",
            img_size=64,
            embed_dims=(16, 24),
            depths=(1, 1),
            num_heads=(2, 2),
            mlp_ratios=(2, 2),
            sr_ratios=(4, 2),
            wss=(4, 4),
        ),
        "blocks.1.0.norm1",
        tokens(8),
        64,
    ),
    "torchvision vit": Family(torchvision_vit, "encoder.layers.encoder_layer_1.ln_1", CLASS_TOKEN),
    "torchvision swin": Family(torchvision_swin, "features.3.1.norm1", channels_last, 64),
    "torchvision swin v2": Family(lambda: torchvision_swin(2), "features.3.0", channels_last, 64),
    "open_clip": Family(OpenClip, "visual.transformer.resblocks.1.ln_1", CLASS_TOKEN),
    "transformers vit": Family(hugging_face("ViT"), "vit.layers.1.layernorm_before", CLASS_TOKEN),
    "transformers deit": Family(hugging_face("DeiT"), "deit.layers.1.layernorm_before", tokens(4, before=2)),
    "transformers dinov2": Family(hugging_face("Dinov2"), "dinov2.encoder.layer.1.norm1", CLASS_TOKEN),
    "transformers swin": Family(
        hugging_face("Swin", **HF_SWIN), "swin.encoder.layers.1.blocks.1.layernorm_before", tokens(8), 64
    ),
}
HOME_MADE: dict[str, Family] = {
    f"{kind.__name__}, {'mean of all tokens' if pooled else 'class token'}": Family(
        lambda kind=kind, pooled=pooled: TinyTransformer(kind, pooled),  # type: ignore[misc]
        "blocks.1.before",
        CLASS_TOKEN,
    )
    for kind in (Separate, ByEinsum, OneHead)
    for pooled in (False, True)
}
