"""Attention of transformers of three libraries: read as the libraries give it out, and followed in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.layers import set_fused_attn
from torch import nn
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification

from xai_eval.errors import UsageError
from xai_eval.explainers.attribution.attention import _record, read_attention
from xai_eval.explainers.attribution.methods import explain, find_methods, signed_map
from xai_eval.explainers.attribution.question import Question, Settings

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

TARGET = 2


def hugging_face(implementation):
    config = ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=32,
        num_labels=5,
        attn_implementation=implementation,
    )
    return Logits(ViTForImageClassification(config))


class Logits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).logits


def of_timm(name="vit_tiny_patch16_224", size=64, **given):
    return timm.create_model(name, img_size=size, depth=3, num_classes=5, **given)


def of_torchvision():
    return torchvision.models.VisionTransformer(32, 8, 3, 3, 24, 32, num_classes=5)


# Maker, size of the input, grid, and the tokens that are no patches.
VITS = {
    "timm": (of_timm, (64, 64), (4, 4), [0]),
    "timm, not square": (lambda: of_timm(size=(48, 80)), (48, 80), (3, 5), [0]),
    "timm, averaged, with registers": (
        lambda: of_timm("vit_medium_patch16_reg4_gap_256"),
        (64, 64),
        (4, 4),
        [0, 1, 2, 3],
    ),
    "timm, distilled": (lambda: of_timm("deit_tiny_distilled_patch16_224"), (64, 64), (4, 4), [0, 1]),
    "timm, rotary": (lambda: of_timm("eva02_tiny_patch14_224", 56), (56, 56), (4, 4), [0]),
    "Hugging Face, fused": (lambda: hugging_face("sdpa"), (32, 32), (4, 4), [0]),
    "Hugging Face, eager": (lambda: hugging_face("eager"), (32, 32), (4, 4), [0]),
    "torchvision": (of_torchvision, (32, 32), (4, 4), [0]),
}


def question(make, size, seed=0):
    torch.manual_seed(seed)
    net = make().eval().requires_grad_(False)
    # Libraries begin with weights so small that all tokens look everywhere alike, and with heads that are all zero.
    for name, parameter in net.named_parameters():
        if parameter.dim() == 2 and name.endswith("weight"):
            nn.init.normal_(parameter, std=2.0 / parameter.shape[1] ** 0.5)
    batch = torch.randn(1, 3, *size, requires_grad=True)
    return Question(net, batch, torch.zeros_like(batch), TARGET, Settings())


@pytest.mark.parametrize("name", VITS)
def test_the_places_of_the_tokens_are_found(name):
    make, size, grid, others = VITS[name]
    asked = question(make, size)
    seen = read_attention(asked)
    assert seen.grid == grid and len(seen.matrices) == 3
    assert (~seen.patches).nonzero().flatten().tolist() == others
    for matrix in seen.matrices:
        assert matrix.shape[-1] == grid[0] * grid[1] + len(others)
        torch.testing.assert_close(matrix.sum(-1), torch.ones_like(matrix[..., 0]))


def by_timm(asked):
    """Attention and its gradient as timm has it with its fused attention switched off, by hooks."""
    kept = []

    def keep(module, given, output):
        output.retain_grad()
        kept.append(output)

    for block in asked.module.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(keep)
    asked.module(asked.batch)[0, TARGET].backward()
    return [each[0] for each in kept], [each.grad[0] for each in kept]


def by_hugging_face(asked):
    """Attention as the library gives it out, with its gradient."""
    asked.module.model.set_attn_implementation("eager")
    found = asked.module.model(asked.batch, output_attentions=True)
    for each in found.attentions:
        each.retain_grad()
    found.logits[0, TARGET].backward()
    return [each[0] for each in found.attentions], [each.grad[0] for each in found.attentions]


def rollout_by_definition(matrices, rows):
    joined = np.eye(len(matrices[0][0]))
    for matrix in matrices:
        mixed = 0.5 * matrix.detach().double().numpy().mean(axis=0) + 0.5 * np.eye(len(joined))
        joined = (mixed / mixed.sum(axis=-1, keepdims=True)) @ joined
    return joined[rows].mean(axis=0)


def relevance_by_definition(matrices, gradients, rows):
    relevance = np.eye(len(matrices[0][0]))
    for matrix, gradient in zip(matrices, gradients, strict=True):
        product = matrix.detach().double().numpy() * gradient.double().numpy()
        relevance = relevance + np.maximum(product, 0.0).mean(axis=0) @ relevance
    return relevance[rows].mean(axis=0)


# The rows that the answer is read from: the class token, both tokens of a distilled model, or all patches.
REFERENCES = {
    "timm": (by_timm, [0]),
    "timm, not square": (by_timm, [0]),
    "timm, averaged, with registers": (by_timm, list(range(4, 20))),
    "timm, distilled": (by_timm, [0, 1]),
    "Hugging Face, fused": (by_hugging_face, [0]),
    "Hugging Face, eager": (by_hugging_face, [0]),
}


@pytest.mark.parametrize("make", [each[0] for each in VITS.values()] + [lambda: Small(causal=True)])
def test_the_answer_while_attention_is_recorded_is_the_models(make):
    size = next((each[1] for each in VITS.values() if each[0] is make), (32, 32))
    asked = question(make, size)
    torch.testing.assert_close(_record(asked, asked.batch).output, asked.module(asked.batch), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REFERENCES)
def test_both_methods_equal_their_formulas_on_the_attention_that_the_library_gives_out(name):
    make, size, grid, others = VITS[name]
    reference, rows = REFERENCES[name]
    matrices, gradients = reference(question(make, size))
    patches = [token for token in range(len(matrices[0][0])) if token not in others]
    expected = {
        "attention_rollout": rollout_by_definition(matrices, rows),
        "generic_attention": relevance_by_definition(matrices, gradients, rows),
    }
    for method, values in expected.items():
        found = explain(find_methods([method])[0], question(make, size), seed=0)
        assert found.shape == grid and found.min() >= 0.0
        np.testing.assert_allclose(found, values[patches].reshape(grid), rtol=2e-4, atol=1e-8)


def test_torchvisions_attention_is_what_its_layers_return_if_they_are_asked():
    asked = question(of_torchvision, (32, 32))
    inputs = []
    for layer in asked.module.encoder.layers:
        layer.self_attention.register_forward_pre_hook(lambda _, given: inputs.append(given[0].detach()))
    seen = read_attention(asked)
    layers = asked.module.encoder.layers
    for matrix, layer, tokens in zip(seen.matrices, layers, inputs, strict=False):
        expected = layer.self_attention(tokens, tokens, tokens, need_weights=True, average_attn_weights=False)[1][0]
        torch.testing.assert_close(matrix, expected.detach(), rtol=1e-4, atol=1e-6)


class Small(nn.Module):
    """A transformer in a few lines; `mix` does what its name says to the tokens before the first layer."""

    def __init__(self, mix=None, layers=2, channels=16, tail=0, causal=False, heads=2):
        super().__init__()
        self.stem, self.mix, self.heads, self.causal = nn.Conv2d(3, channels, 8, 8), mix, heads, causal
        self.tail = nn.Parameter(torch.randn(1, tail, channels))
        self.places = nn.Parameter(torch.randn(1, 16 + tail, channels))
        self.layers = nn.ModuleList(nn.Linear(channels, 3 * channels) for _ in range(layers))
        self.head = nn.Linear(channels, 5)

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = tokens if self.mix is None else self.mix(tokens)
        tokens = torch.cat([tokens, self.tail.expand(len(x), -1, -1)], 1) + self.places
        for layer in self.layers:
            tokens = tokens + self.attend(layer(tokens), tokens.shape)
        return self.head(tokens[:, -1] if self.tail.numel() else tokens.mean(1))

    def attend(self, both, shape):
        query, key, value = (each.unflatten(2, (self.heads, -1)).transpose(1, 2) for each in both.chunk(3, dim=2))
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return found.transpose(1, 2).reshape(shape)


class OfChannels(Small):
    def attend(self, both, shape):
        query, key, value = both.chunk(3, dim=2)
        return ((query.transpose(1, 2) @ key).softmax(-1) @ value.transpose(1, 2)).transpose(1, 2)


class Linear(Small):
    def attend(self, both, shape):
        query, key, value = both.chunk(3, dim=2)
        return functional.elu(query) @ (functional.elu(key).transpose(1, 2) @ value)


class Windows(Small):
    def attend(self, both, shape):
        return super().attend(both.reshape(4, 4, -1), (4, 4, shape[-1])).reshape(shape)


class Pooled(Small):
    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.attend(self.layers[0](tokens), tokens.shape)
        return self.head(functional.scaled_dot_product_attention(tokens.mean(1, keepdim=True), tokens, tokens)[:, 0])


class Merged(Small):
    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = tokens + self.attend(self.layers[0](tokens), tokens.shape)
        tokens = tokens.unflatten(1, (4, 4)).mean(2)
        return self.head((tokens + self.attend(self.layers[1](tokens), tokens.shape)).mean(1))


REFUSED = {
    "between channels": (OfChannels, "not in the order of the places, or attention is between channels"),
    "linear": (Linear, "it has no softmax attention"),
    "windows": (Windows, r"within windows of the image \(attention of shape \(4, 2, 4, 4\)\)"),
    "pooled": (Pooled, "a layer attends from 1 tokens to 16"),
    "merged": (Merged, r"different numbers of tokens \(16, 4\)"),
    "shuffled": (lambda: Small(lambda tokens: tokens.flip(1)), "not in the order of the places"),
    "dropped": (lambda: Small(lambda tokens: torch.cat([tokens[:, :13], 0 * tokens[:, 13:]], 1)), "form no grid"),
    "a convolutional network": (lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=5), "no softmax attention"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("method", ["attention_rollout", "generic_attention"])
def test_a_model_whose_attention_cannot_be_followed_is_refused_for_the_true_reason(name, method):
    make, reason = REFUSED[name]
    with pytest.raises(UsageError, match=f"attention cannot be followed through this model: .*{reason}"):
        explain(find_methods([method])[0], question(make, (32, 32)), seed=0)


@pytest.mark.parametrize("net", ["swin_tiny_patch4_window7_224", "mvitv2_tiny", "xcit_nano_12_p16_224"])
@pytest.mark.slow
def test_hierarchical_transformers_of_timm_are_refused(net):
    with pytest.raises(UsageError, match="attention cannot be followed"):
        read_attention(question(lambda: timm.create_model(net, num_classes=5), (224, 224)))


@pytest.mark.parametrize("seed", range(8))
def test_overlapping_convolutions_before_the_tokens_are_no_other_order(seed):
    """By chance the token that noise changes most may lie two cells from it: that must not decide what is refused."""

    def wide():
        net = Small(lambda tokens: tokens)
        net.stem = nn.Sequential(nn.Conv2d(3, 16, 9, 4, 4), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1))
        net.places = nn.Parameter(torch.zeros(1, 144, 16))
        return net

    assert read_attention(question(wide, (48, 48), seed)).grid == (12, 12)


def test_tokens_behind_the_patches_are_found_too():
    seen = read_attention(question(lambda: Small(tail=3), (32, 32)))
    assert (~seen.patches).nonzero().flatten().tolist() == [16, 17, 18] and seen.grid == (4, 4)


def test_attention_with_a_mask_is_torchs():
    asked = question(lambda: Small(causal=True), (32, 32))
    assert not read_attention(asked).matrices[0].triu(1).any()


@pytest.mark.parametrize("fused", [True, False])
def test_nothing_of_the_reading_is_left_behind(fused):
    before = functional.scaled_dot_product_attention, functional.softmax, torch.Tensor.softmax
    set_fused_attn(fused)
    try:
        asked = question(of_timm, (64, 64))
    finally:
        set_fused_attn(True)
    assert asked.module.blocks[0].attn.fused_attn == fused
    state = {key: value.clone() for key, value in asked.module.state_dict().items()}
    explain(find_methods(["generic_attention"])[0], asked, seed=0)
    assert (functional.scaled_dot_product_attention, functional.softmax, torch.Tensor.softmax) == before
    assert all(torch.equal(value, state[key]) for key, value in asked.module.state_dict().items())
    assert asked.module.blocks[0].attn.fused_attn == fused


def test_generic_attention_is_for_a_class_and_rollout_is_not():
    net = question(of_timm, (64, 64))
    other = Question(net.module, net.batch, net.baseline, 4, net.settings)
    for method, same in (("attention_rollout", True), ("generic_attention", False)):
        found = [explain(find_methods([method])[0], each, seed=0) for each in (net, other)]
        assert np.allclose(*found) == same


def test_a_coarse_map_is_enlarged_as_opencv_does():
    import cv2

    coarse = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(signed_map(coarse, (64, 70)), cv2.resize(coarse, (70, 64)), atol=1e-4)
