"""Small transformers that are spelt otherwise: attention, norms and blocks in other words, with the same numbers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from fault import both, replaced
from harmless import POOLED, SWIN, TRANSFORMERS, VIT, Harmless, spelt
from spelt_networks import Wrapped, in_reverse, scattered, through_safetensors
from torch import Tensor, nn


class ThreeProjections(nn.Module):
    """`nn.MultiheadAttention` with its fused projection as three linear layers and a plain product of matrices."""

    def __init__(self, fused: nn.MultiheadAttention) -> None:
        super().__init__()
        width = fused.embed_dim
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        rows = zip(fused.in_proj_weight.data.chunk(3), fused.in_proj_bias.data.chunk(3), strict=True)
        for part, (weight, bias) in zip((self.query, self.key, self.value), rows, strict=True):
            part.weight.data, part.bias.data = weight.clone(), bias.clone()
        self.out, self.heads = fused.out_proj, fused.num_heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor, **_: Any) -> tuple[Tensor, None]:
        asked = (self.query(query), self.key(key), self.value(value))
        q, k, v = (each.unflatten(2, (self.heads, -1)).transpose(1, 2) for each in asked)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), None


def three_projections(module: nn.Module) -> None:
    for part in module.modules():
        for name, child in list(part.named_children()):
            if isinstance(child, nn.MultiheadAttention):
                setattr(part, name, ThreeProjections(child))


def separate_parameters(module: nn.Module) -> None:
    """The three projections as three parameters of the same class of torch."""
    for part in module.modules():
        for name, child in list(part.named_children()):
            if isinstance(child, nn.MultiheadAttention):
                width = child.embed_dim
                new = nn.MultiheadAttention(width, child.num_heads, batch_first=True, kdim=width, vdim=width)
                new._qkv_same_embed_dim = False
                weights = child.in_proj_weight.data.chunk(3)
                for which, weight in zip("qkv", weights, strict=True):
                    setattr(new, f"{which}_proj_weight", nn.Parameter(weight.clone()))
                new.register_parameter("in_proj_weight", None)
                new.in_proj_bias, new.out_proj = child.in_proj_bias, child.out_proj
                setattr(part, name, new)


class ByFormula(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.pow(2).mean(-1, keepdim=True) + self.eps).sqrt() * self.weight + self.bias


def norms_by_formula(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.__class__ = ByFormula


def norms_written_otherwise(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.normalized_shape, part.eps = list(part.normalized_shape), float(f"{part.eps:.10f}")


class Gelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5 * (1 + torch.erf(x * 0.5**0.5))


def gelu_by_formula(module: nn.Module) -> None:
    for part in module.modules():
        for name, child in list(part.named_children()):
            if isinstance(child, nn.GELU):
                setattr(part, name, Gelu())


def without_dropout(module: nn.Module) -> None:
    for part in module.modules():
        for name, child in list(part.named_children()):
            if type(child).__name__ in ("Dropout", "StochasticDepth"):
                setattr(part, name, nn.Identity())


def numbered_blocks(module: nn.Module) -> None:
    module.encoder.layers = nn.Sequential(*module.encoder.layers)


def last_block_wrapped(module: nn.Module) -> None:
    layers = module.encoder.layers
    names = list(layers._modules)
    module.encoder.layers = nn.Sequential(
        OrderedDict(
            (name, nn.Sequential(part) if name == names[-1] else part) for name, part in layers.named_children()
        )
    )


def stages_wrapped(module: nn.Module) -> None:
    module.features = nn.Sequential(
        *(nn.Sequential(*part) if isinstance(part, nn.Sequential) else part for part in module.features)
    )
    module.features[-1] = nn.Sequential(module.features[-1])


def softmax_by_formula(_original: Any) -> Any:
    def softmax(values: Tensor, dim: int, **_: Any) -> Tensor:
        powers = (values - values.amax(dim, keepdim=True)).exp()
        return powers / powers.sum(dim, keepdim=True)

    return softmax


def plain_attention(_original: Any) -> Any:
    def attention(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Any = None,
        _: float = 0.0,
        is_causal: bool = False,
        **more: Any,
    ) -> Tensor:
        scores = query * (more.get("scale") or query.shape[-1] ** -0.5) @ key.mT
        if is_causal:
            scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        return scores.softmax(-1) @ value

    return attention


def moved(function: Any) -> Any:
    """An operation that rounds by up to a millionth otherwise."""

    def call(*args: Any, **options: Any) -> Any:
        values = function(*args, **options)
        drawn = torch.rand(values.shape, generator=torch.Generator().manual_seed(3)).to(values)
        return values * (1 + 1e-6 * (2 * drawn - 1))

    return call


TASKS = ("cams", "lime")


def row(name: str, tasks: tuple[str, ...], change: Any, *models: str) -> Harmless:
    return Harmless(name, tasks, spelt(change), models=models or TRANSFORMERS)


def rounded(name: str, tasks: tuple[str, ...], place: Any, attribute: str, make: Any = moved) -> Harmless:
    return Harmless(name, tasks, replaced(place, attribute, make), kind="rounding", models=TRANSFORMERS)


CHANGES = (
    row("three projections", ("cams", "attributions"), three_projections, VIT, POOLED),
    row("three parameters", ("cams",), separate_parameters, VIT, POOLED),
    row("layer norms by their formula", TASKS, norms_by_formula),
    row("layer norms in other words", ("cams",), norms_written_otherwise),
    row("GELU by its formula", TASKS, gelu_by_formula),
    row("no dropout", ("cams", "attributions"), without_dropout),
    row("numbered blocks", ("cams",), numbered_blocks, VIT, POOLED),
    row("the last block in Sequential", ("cams",), last_block_wrapped, VIT, POOLED),
    row("the last stage of a Swin in Sequential", ("cams",), stages_wrapped, SWIN),
    row("a transformer in somebody's wrapper", ("cams", "attributions"), Wrapped),
    row("parts of a transformer in another order", ("cams",), in_reverse),
    row("other strides of a transformer", ("cams", "attributions"), scattered),
    row("a transformer through safetensors", ("cams",), through_safetensors),
    rounded("layer norms round otherwise", ("cams", "attributions"), F, "layer_norm"),
    rounded("attention rounds otherwise", ("cams", "attributions"), F, "scaled_dot_product_attention"),
    rounded("attention by its formula", ("cams", "attributions"), F, "scaled_dot_product_attention", plain_attention),
    rounded("GELU rounds otherwise", ("cams",), F, "gelu"),
    Harmless(
        "softmax by its formula, and rounding otherwise",
        ("cams", "attributions"),
        both(replaced(F, "softmax", softmax_by_formula), replaced(F, "softmax", moved)),
        kind="rounding",
        models=TRANSFORMERS,
    ),
)
