"""Queries, keys, values and heads are never explained by default, whatever attention is written with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_transformers import FAMILIES, HOME_MADE, ByEinsum, Family, OneHead, Separate, TinyTransformer
from torch import Tensor, nn

from xai_eval.inputs.models.attention_inside import inside_of_attention
from xai_eval.inputs.models.default_layer import default_layer
from xai_eval.inputs.models.first_answers import first_answers
from xai_eval.inputs.models.traced_pass import TracedPass, traced_pass

ALL = {**FAMILIES, **HOME_MADE}


@pytest.mark.parametrize("name", ALL)
def test_the_default_layer_of_a_transformer(name: str) -> None:
    family: Family = ALL[name]
    net, shape = family.made(), (3, family.size, family.size)
    assert default_layer(first_answers(net, shape, None, None, name).scoring(net), shape, net).name == family.layer


def traced(net: nn.Module, batch: Tensor) -> TracedPass:
    return traced_pass(net.eval().requires_grad_(False), net, batch)


@pytest.mark.parametrize("kind", [Separate, ByEinsum, OneHead])
def test_projections_are_inside_and_what_follows_them_is_not(kind: Callable[[int], nn.Module]) -> None:
    net = TinyTransformer(kind, pooled=True)
    inside = traced(net, torch.randn(1, 3, 32, 32)).inside_attention
    parts = {"query", "key", "value", "query_norm", "key_norm"} & set(dict(net.blocks[0].attention.named_children()))
    assert inside == {f"blocks.{block}.attention.{part}" for block in (0, 1) for part in parts}


class LearnedQueries(Separate):
    """Its queries are weights, so that keys are multiplied with no activations, as in Perceiver."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__(width, heads)
        self.latents = nn.Parameter(torch.randn(1, heads, 6, width // heads))

    def forward(self, x: Tensor) -> Tensor:
        key, value = (each(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for each in (self.key, self.value))
        weights = (self.latents @ key.mT).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).flatten(2))


def test_keys_of_learned_queries_are_inside() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.Flatten(2), nn.Linear(16, 8), LearnedQueries(8), nn.Flatten())
    assert traced(net, torch.randn(1, 3, 32, 32)).inside_attention == {"3.key", "3.value"}


def test_queries_of_the_width_of_the_tokens_are_inside_in_transformers() -> None:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(image_size=32, patch_size=8, hidden_size=24, num_hidden_layers=1, num_attention_heads=2)
    net = ViTForImageClassification(config).eval()
    scoring = first_answers(net, (3, 32, 32), None, None, "mine").scoring(net).requires_grad_(False)
    inside = traced_pass(scoring, net, torch.randn(1, 3, 32, 32)).inside_attention
    linear = {name for name, part in net.named_modules() if isinstance(part, nn.Linear) and name.startswith("vit")}
    projections = {name for name in inside if name in linear}
    assert len(projections) == 3 and len(linear) == 6  # three of six: the others are the output and the MLP


class Gated(nn.Module):
    """A product of two activations that is no attention: a gate for each place, as in squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate = nn.Conv2d(3, 6, 8, 8), nn.Linear(6, 6)
        self.after, self.head = nn.Conv2d(6, 6, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        x = self.after(x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None])
        return self.head(x.relu().mean((2, 3)))


def test_a_gate_is_no_attention() -> None:
    assert traced(Gated(), torch.randn(1, 3, 32, 32)).inside_attention == frozenset()
    assert default_layer(Gated().eval(), (3, 32, 32)).name == "after"


def test_linear_layers_alone_are_no_attention() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.Flatten(2), nn.Linear(16, 16), nn.Flatten(), nn.Linear(96, 5))
    assert traced(net, torch.randn(1, 3, 32, 32)).inside_attention == frozenset()


@pytest.mark.parametrize("product", [torch.matmul, torch.bmm, lambda a, b: torch.einsum("nij,njk->nik", a, b)])
def test_the_way_from_a_projection_to_a_product(product: Callable[[Tensor, Tensor], Tensor]) -> None:
    given = torch.randn(2, 4, 3, requires_grad=True)
    weight = torch.randn(3, 3)
    query, key = given @ weight, (given @ weight).tanh()
    after = product(query, key.mT).relu()
    inside = inside_of_attention(after.sum())
    assert key.grad_fn in inside and query.grad_fn in inside
    assert after.grad_fn not in inside and given.grad_fn not in inside


def test_a_score_without_a_graph_has_no_inside() -> None:
    assert inside_of_attention(torch.zeros(1, 3)) == set()
