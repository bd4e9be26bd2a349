"""Behind the last attention no layer is explained by default, unless convolutions made it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_transformers import Block, OneHead, Separate, TinyTransformer
from torch import Tensor, nn

from xai_eval.inputs.models.default_layer import default_layer

WIDTH = 12


class Attention(nn.Module):
    """Attention between the places of maps (N, C, h, w), added to them: a non-local block."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.attention, self.out = OneHead(width), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.attention(x.flatten(2).mT).mT.unflatten(2, x.shape[2:])
        return x + self.out(mixed)


class Residual(nn.Module):
    """Convolutions beside which the maps pass on unchanged; `groups` as many as channels mix no channels."""

    def __init__(self, groups: int = 1, size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, WIDTH, size, padding=size // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x).relu()


class OfEachPlace(nn.Module):
    """Attention among parts of the channels of each place; no place learns of another."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x.movedim(1, 3)
        query, value = (each(x).unflatten(3, (3, -1)) for each in (self.query, self.value))
        return (x + ((query @ query.mT).softmax(-1) @ value).flatten(3)).movedim(3, 1)


class Averaging(nn.Module):
    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 4, 4)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class BilinearHead(Averaging):
    """Products of activations behind the average are no attention of places."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__(*blocks)
        self.reduce = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(self.blocks(self.stem(x)).mean((2, 3)))
        return self.head((x[:, :, None] @ x[:, None, :]).mean(2))


def chosen(make: Callable[[], nn.Module]) -> str:
    torch.manual_seed(0)
    return default_layer(make().eval(), (3, 32, 32)).name


KINDS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "attention at the end": (lambda: Averaging(Residual(), Attention(), Attention()), "blocks.1"),
    "a bilinear head": (lambda: BilinearHead(Residual(), Attention()), "blocks.0"),
    "convolutions at the end": (lambda: Averaging(Attention(), Residual(), Residual()), "blocks.2"),
    "one convolution of single places, through which all passes": (
        lambda: Averaging(Attention(), nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 1), nn.ReLU())),
        "blocks.1",
    ),
    "convolutions of single places beside which all passes": (
        lambda: Averaging(Residual(), Attention(), Residual(size=1)),
        "blocks.0",
    ),
    "convolutions of single channels, as in SegFormer": (
        lambda: Averaging(Residual(), Attention(), Residual(groups=WIDTH)),
        "blocks.0",
    ),
    "attention of each place alone at the end": (lambda: Averaging(Attention(), Residual(), OfEachPlace()), "blocks"),
    "attention of each place alone behind an attention": (
        lambda: Averaging(Residual(), Attention(), OfEachPlace()),
        "blocks.0",
    ),
    "no attention": (lambda: Averaging(Residual(), Residual()), "blocks.1"),
    "one block": (lambda: Averaging(Attention()), "stem"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_layer_is_the_last_that_an_attention_reads_unless_convolutions_follow(kind: str) -> None:
    make, layer = KINDS[kind]
    assert chosen(make) == layer


class PostNorm(Block):
    """The norm comes after the attention, as in Swin v2 and in PyTorch's own encoder."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x + self.attention(x))
        return self.between(x + self.mlp(x))


def post_norm() -> nn.Module:
    net = TinyTransformer(Separate, pooled=True)
    net.blocks = nn.Sequential(*(PostNorm(Separate(24), 24) for _ in range(2)))
    return net


def test_where_norms_follow_attention_the_block_before_the_last_is_what_it_reads() -> None:
    assert chosen(post_norm) == "blocks.0.between"  # the block returns what its last norm returned


def test_a_container_that_begins_with_convolutions_is_no_map_of_a_convolution() -> None:
    """The whole body returns the tokens of its last block, and holds the patch embedding."""

    def all_in_one() -> nn.Module:
        net = TinyTransformer(Separate, pooled=True)
        body = nn.Sequential(net.patches, nn.Flatten(2), Turned(), net.blocks)
        return nn.Sequential(body, Mean(), net.head)

    assert chosen(all_in_one) == "0.3.1.before"


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mT


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["attention", "convolution", "per channel"]), min_size=1, max_size=4))
def test_any_order_of_attention_and_convolutions(order: list[str]) -> None:
    """By the definition: what follows the last attention counts if a convolution of all channels is in it."""
    make = {"attention": Attention, "convolution": Residual, "per channel": lambda: Residual(groups=WIDTH)}
    last = max((place for place, name in enumerate(order) if name == "attention"), default=-1)
    ends = last < 0 or "convolution" in order[last:]
    expected = f"blocks.{len(order) - 1}" if ends else f"blocks.{last - 1}" if last else "stem"
    assert chosen(lambda: Averaging(*(make[name]() for name in order))) == expected


class SecondHead(nn.Module):
    """Scores of every place are added to those of the whole: `second` finishes last, and the answer hardly needs it."""

    def __init__(self, body: nn.Module, second: nn.Module, width: int = WIDTH) -> None:
        super().__init__()
        self.body, self.head, self.second = body, nn.Linear(width, 5), second

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        maps = x if x.dim() == 3 else x.flatten(2).mT
        places = self.second(x)
        return self.head(maps.mean(1)) + 0.5 * (places if places.dim() == 3 else places.flatten(2).mT).amax(1)


def convolutions(width: int = WIDTH) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 4, 4), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))


def tokens_of_blocks() -> nn.Module:
    net = TinyTransformer(Separate)
    return nn.Sequential(net.patches, nn.Flatten(2), Turned(), net.blocks)


class OnlyHead(nn.Module):
    """All scores come from maps of classes: these are the last layer, as in SqueezeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = convolutions(), nn.Conv2d(WIDTH, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x)).mean((2, 3))


HEADS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "convolutions and a second head": (lambda: SecondHead(convolutions(), nn.Conv2d(WIDTH, 5, 1)), "body.2"),
    "tokens and a second head": (lambda: SecondHead(tokens_of_blocks(), nn.Linear(24, 5), 24), "body.3.1.before"),
    "maps of classes alone": (OnlyHead, "last"),
    "as many channels as classes": (lambda: nn.Sequential(convolutions(5), Averaged(), nn.Linear(5, 5)), "0.2"),
    "tokens of as many channels as classes": (
        lambda: TinyTransformer(OneHead, pooled=True, width=5),
        "blocks.1.before",
    ),
}


class Averaged(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


@pytest.mark.parametrize("kind", HEADS)
def test_a_second_head_is_not_explained(kind: str) -> None:
    make, layer = HEADS[kind]
    assert chosen(make) == layer
