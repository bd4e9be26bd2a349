"""Faults of transformers: which tokens are places, in which order, and what attends to what."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
import torchvision.models.swin_transformer as swin
from fault import ERROR, POOLED, SWIN, VIT, Fault, module_changed, replaced, weights_changed
from torch import nn
from torchvision.models.vision_transformer import Encoder, VisionTransformer

from xai_eval.explainers.attribution import rollout
from xai_eval.explainers.cam import cam_maps
from xai_eval.explainers.dissection import observe_shard
from xai_eval.inputs.models.layout import Layout
from xai_eval.result.stage import Stage, StageKind

# A network with four register tokens behind its class token.
REGISTERS = f"file:{Path(__file__).parent / 'nets.py'}:with_registers"
CAMS = {"methods": ["gradcam", "hirescam", "eigencam"]}
ATTENTION = {"methods": ["attention_rollout", "generic_attention"]}
TOKENS = {"layers": ["encoder.ln"], "shuffles": 0}


def class_token_counted(layout: Layout) -> Layout:
    """The places begin one token early, so that the last place is lost."""
    return dataclasses.replace(layout, before=layout.before - 1, behind=layout.behind + 1) if layout.before else layout


def registers_kept(layout: Layout) -> Layout:
    """Only the class token is left out, as if there were no registers."""
    return dataclasses.replace(layout, before=1, behind=layout.before + layout.behind - 1)


def laid_out(change: Any) -> Any:
    """Lay tokens out in another way, wherever that is done."""
    return replaced(Layout, "_places", lambda original: lambda self, tensor: original(change(self), tensor))


def of_the_library(change: Any) -> Any:
    """Only pytorch-grad-cam lays tokens out in another way: its `reshape_transform` is another one."""

    def make(original: Any) -> Any:
        def explained(*args: Any, layout: Any = None, **options: Any) -> Any:
            return original(*args, layout=layout and change(layout), **options)

        return explained

    return replaced(cam_maps, "explain_by_cam", make)


def transposed(original: Any) -> Any:
    def places(self: Layout, tensor: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = original(self, tensor)
        return found.transpose(2, 3)

    return places


def maps_transposed(_original: Any) -> Any:
    return lambda self, tensor: tensor if self.channels == 0 else tensor.permute(0, 3, 2, 1)


def windows_not_put_back(original: Any) -> Any:
    """The cyclic shift of windows is not undone."""

    def roll(tensor: Any, shifts: Any, dims: Any = None) -> Any:
        undone = isinstance(shifts, tuple) and len(shifts) == 2 and min(shifts) >= 0
        return tensor if undone else original(tensor, shifts, dims)

    return roll


def without_position_bias(original: Any) -> Any:
    return lambda self: original(self) * 0


def attends_with(factor: float) -> Any:
    """Queries are scaled in another way."""

    def make(original: Any) -> Any:
        def forward(self: Any, query: Any, key: Any, value: Any, **options: Any) -> Any:
            return original(self, query * factor, key, value, **options)

        return forward

    return make


def over_the_batch(original: Any) -> Any:
    """Attention runs over the images of a batch, as if the batch were the second axis."""

    def forward(self: Any, query: Any, key: Any, value: Any, **options: Any) -> Any:
        if query.shape[0] == 1:
            return original(self, query, key, value, **options)
        swapped = (each.transpose(0, 1) for each in (query, key, value))
        found, weights = original(self, *swapped, **options)
        return found.transpose(0, 1), weights

    return forward


def without_positions(_original: Any) -> Any:
    return lambda self, tokens: self.ln(self.layers(tokens))


def mean_of_tokens(_original: Any) -> Any:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        tokens = self._process_input(x)
        first = self.class_token.expand(len(tokens), -1, -1)
        return self.heads(self.encoder(torch.cat([first, tokens], dim=1)).mean(dim=1))

    return forward


def tanh_gelu(_original: Any) -> Any:
    return lambda self, x: nn.functional.gelu(x, approximate="tanh")


def other_norms(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-2


def positions_turned(module: nn.Module) -> None:
    positions = module.encoder.pos_embedding
    positions[:, 1:] = positions[:, 1:].flip(1)


def class_token_noisy(module: nn.Module) -> None:
    module.class_token.mul_(1.02)


def heads_swapped(module: nn.Module) -> None:
    bias = module.features[1][0].attn.relative_position_bias_table
    bias.copy_(bias.roll(1, 1))


def without_residual(_original: Any) -> Any:
    """No layer passes tokens on as they are."""
    return _of_attention


def _of_attention(matrices: Any) -> torch.Tensor:
    joined = torch.eye(matrices[0].shape[-1])
    for matrix in matrices:
        joined = matrix.float().mean(0) @ joined
    return joined


def in_reverse(original: Any) -> Any:
    return lambda matrices: original(matrices[::-1])


def largest_head(original: Any) -> Any:
    return lambda matrices: original([each.amax(0, keepdim=True) for each in matrices])


def both_signs(_original: Any) -> Any:
    def weighted(matrices: Any, gradients: Any) -> torch.Tensor:
        relevance = torch.eye(matrices[0].shape[-1])
        for matrix, gradient in zip(matrices, gradients, strict=True):
            relevance = relevance + (matrix.float() * gradient.float()).abs().mean(0) @ relevance
        return relevance

    return weighted


def turned_grid(original: Any) -> Any:
    return lambda relevance, seen: original(relevance, seen).transpose(1, 2)


def token(name: str, tasks: tuple[str, ...], models: tuple[str, ...], stage: Any, inject: Any, **given: Any) -> Fault:
    return Fault(name, "tokens", tasks, stage, inject, models=models, **given)


ACTIVATIONS, RAW = StageKind.LAYER_ACTIVATIONS, StageKind.RAW_MAP
FAULTS = (
    token(
        "the class token is counted as a place",
        ("cams",),
        (VIT,),
        ACTIVATIONS,
        laid_out(class_token_counted),
        parameters=CAMS,
    ),
    token(
        "the library counts the class token as a place",
        ("cams",),
        (VIT,),
        RAW,
        of_the_library(class_token_counted),
        parameters=CAMS,
    ),
    token("register tokens are kept", ("cams",), (REGISTERS,), ACTIVATIONS, laid_out(registers_kept), parameters=CAMS),
    token(
        "the grid of tokens is transposed",
        ("cams",),
        (VIT, POOLED),
        ACTIVATIONS,
        replaced(Layout, "_places", transposed),
        parameters=CAMS,
    ),
    token(
        "the map of places is transposed",
        ("cams",),
        (SWIN,),
        ACTIVATIONS,
        replaced(Layout, "_map", maps_transposed),
        parameters=CAMS,
    ),
    token("windows are not put back", ("cams",), (SWIN,), ACTIVATIONS, replaced(torch, "roll", windows_not_put_back)),
    token(
        "windows are not put back",
        ("dissection",),
        (SWIN,),
        StageKind.ACTIVATIONS,
        replaced(torch, "roll", windows_not_put_back),
        parameters={"layers": ["features.3"]},
    ),
    token(
        "no bias of relative positions",
        ("cams",),
        (SWIN,),
        ACTIVATIONS,
        replaced(swin.ShiftedWindowAttention, "get_relative_position_bias", without_position_bias),
        parameters=CAMS,
    ),
    token(
        "attention is 2 % sharper",
        ("cams", "lime"),
        (VIT,),
        StageKind.LAYER_ACTIVATIONS,
        replaced(nn.MultiheadAttention, "forward", attends_with(1.02)),
    ),
    token(
        "attention is 2 % sharper",
        ("attributions",),
        (POOLED,),
        StageKind.LOGITS,
        replaced(nn.MultiheadAttention, "forward", attends_with(1.02)),
    ),
    token(
        "attention runs over the batch",
        ("lime",),
        (VIT, POOLED),
        ERROR,
        replaced(nn.MultiheadAttention, "forward", over_the_batch),
    ),
    token(
        "no position is added",
        ("cams",),
        (VIT,),
        ACTIVATIONS,
        replaced(Encoder, "forward", without_positions),
        parameters=CAMS,
    ),
    token(
        "the head reads the mean of all tokens",
        ("cams",),
        (VIT,),
        StageKind.LOGITS,
        replaced(VisionTransformer, "forward", mean_of_tokens),
        parameters=CAMS,
    ),
    token("GELU is approximated", ("cams",), (VIT, SWIN), ACTIVATIONS, replaced(nn.GELU, "forward", tanh_gelu)),
    token("another eps of layer norm", ("cams",), (POOLED, SWIN), StageKind.MODULE_TYPES, module_changed(other_norms)),
    token("positions in another order", ("cams",), (VIT,), StageKind.MODEL_WEIGHTS, module_changed(positions_turned)),
    token("another class token", ("cams",), (VIT,), StageKind.MODEL_WEIGHTS, weights_changed(class_token_noisy)),
    token(
        "biases of two heads change places", ("cams",), (SWIN,), StageKind.MODEL_WEIGHTS, weights_changed(heads_swapped)
    ),
    token(
        "the residual connection is left out of rollout",
        ("attributions",),
        (VIT,),
        Stage(StageKind.ATTRIBUTION, "attention_rollout"),
        replaced(rollout, "rolled_out", without_residual),
        parameters=ATTENTION,
    ),
    token(
        "layers are rolled out in reverse",
        ("attributions",),
        (VIT,),
        Stage(StageKind.ATTRIBUTION, "attention_rollout"),
        replaced(rollout, "rolled_out", in_reverse),
        parameters=ATTENTION,
    ),
    token(
        "the largest head is rolled out",
        ("attributions",),
        (POOLED,),
        Stage(StageKind.ATTRIBUTION, "attention_rollout"),
        replaced(rollout, "rolled_out", largest_head),
        parameters=ATTENTION,
    ),
    token(
        "attention keeps both signs",
        ("attributions",),
        (VIT,),
        Stage(StageKind.ATTRIBUTION, "generic_attention"),
        replaced(rollout, "weighted_by_gradients", both_signs),
        parameters=ATTENTION,
    ),
    token(
        "the grid of attention is transposed",
        ("attributions",),
        (VIT,),
        StageKind.ATTRIBUTION,
        replaced(rollout, "_map", turned_grid),
        parameters=ATTENTION,
    ),
    token(
        "tokens are pooled in place of the class token",
        ("dissection",),
        (VIT,),
        StageKind.ACTIVATIONS,
        replaced(
            observe_shard,
            "pool_positions",
            lambda o: lambda out: out.mean(dim=1) if out.dim() == 3 else o(out),
        ),
        parameters=TOKENS,
    ),
    token(
        "tokens of a dissection in another order",
        ("dissection",),
        (VIT,),
        StageKind.UNIT_MAPS,
        replaced(
            observe_shard,
            "layer_outputs",
            lambda o: lambda m, b: {k: torch.cat([v[:, :1], v[:, 1:].flip(1)], 1) for k, v in o(m, b).items()},
        ),
        parameters=TOKENS,
    ),
)
