"""What is said of a layer: how attention reads it, and which part of the answer does not pass through it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_transformers import Separate, TinyTransformer
from torch import Tensor, nn

from xai_eval.inputs.models.explained_layer import ExplainedLayer, advice_on, explained_layer
from xai_eval.inputs.models.layers import layout_of, tracing
from xai_eval.inputs.models.traced_pass import traced_pass


class Net(nn.Module):
    """Two residual blocks; nothing leads around both but what came out of the stem."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.first, self.second = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.first(x).relu()
        return self.head((x + self.second(x).relu()).mean((2, 3)))


class Ensemble(nn.Module):
    def __init__(self, *members: nn.Module) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(0)


class Normalising(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner((x - 0.5) / 0.2)


def told(net: nn.Module, layer: str) -> ExplainedLayer:
    net, batch = net.eval(), torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    layout = layout_of(net, net, "mine", layer, batch)
    with tracing(net):
        return explained_layer(traced_pass(net, net, batch), layer, layout)


@pytest.mark.parametrize("layer", ["stem", "first", "second"])
def test_branches_of_one_network_are_no_ensemble(layer: str) -> None:
    assert told(Normalising(Net()), f"inner.{layer}").beside == ""


@pytest.mark.parametrize("layer", ["blocks.0.before", "blocks.1.before", "blocks.1.mlp", "norm"])
def test_the_branches_of_a_transformer_are_no_ensemble(layer: str) -> None:
    assert told(TinyTransformer(Separate, pooled=True), layer).beside == ""


MEMBERS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "the second of two": (lambda: Ensemble(Net(), Net()), "members.1.second", "members.0.second"),
    "the first of two": (lambda: Ensemble(Net(), Net()), "members.0.second", "members.1.second"),
    "one of three": (lambda: Ensemble(Net(), Net(), Net()), "members.1.first", "members.2.second"),
    "a transformer and a network": (
        lambda: Ensemble(Net(), TinyTransformer(Separate)),
        "members.1.blocks.1.before",
        "members.0.second",
    ),
    "normalised together": (
        lambda: Normalising(Ensemble(Net(), Net())),
        "inner.members.1.second",
        "inner.members.0.second",
    ),
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_of_an_ensemble_it_is_said_that_the_others_are_not_explained(kind: str) -> None:
    make, layer, other = MEMBERS[kind]
    found = told(make(), layer)
    assert found.beside == other
    (sentence,) = (each for each in advice_on(layer, found, "mine") if "ensemble" in each)
    assert sentence.startswith(f"mine: a part of its answer does not depend on layer '{layer}'")
    assert f"but on '{other}'" in sentence and "--layer" in sentence


def test_methods_are_advised_where_an_attention_reads_the_layer() -> None:
    for pooled, layer, attended, averaged in (
        (True, "blocks.1.before", True, False),
        (False, "blocks.1.before", True, False),
        (True, "norm", False, True),
    ):
        found = told(TinyTransformer(Separate, pooled=pooled), layer)
        assert (found.attended, found.averaged) == (attended, averaged)
        sentences = advice_on(layer, found, "mine", ("gradcam",))
        assert any("hirescam, layercam and scorecam pointed best" in each for each in sentences) is attended
        assert any("the gradient is the same at every place" in each for each in sentences) is averaged
    assert advice_on("second", told(Net(), "second"), "mine") == ()


GRADIENTS = "the gradient is the same at every place"


@pytest.mark.parametrize(
    ("layer", "methods", "said"),
    [
        ("blocks.1.before", ("hirescam", "layercam"), ""),
        ("blocks.1.before", ("scorecam",), ""),
        ("blocks.1.before", ("scorecam", "gradcam++"), "pointed best"),
        ("blocks.1.before", ("eigencam",), "pointed best"),
        ("blocks.1.before", None, ""),
        ("norm", ("scorecam", "eigencam"), ""),
        ("norm", ("eigencam", "hirescam"), GRADIENTS),
        ("norm", None, GRADIENTS),
    ],
)
def test_advice_is_given_where_another_method_or_layer_would_be_better(
    layer: str, methods: tuple[str, ...] | None, said: str
) -> None:
    sentences = advice_on(layer, told(TinyTransformer(Separate, pooled=True), layer), "mine", methods)
    assert len(sentences) == bool(said) and said in "".join(sentences)
