"""A part of a model runs without gradients: what is recorded of a layer is what Grad-CAM of the library finds there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.default_layer import default_layer
from xai_eval.inputs.models.examination import examine
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing

BLOCKS = 3
CUTS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "no_grad": torch.no_grad()(lambda block, x: block(x)),
    "inference_mode": lambda block, x: torch.inference_mode()(block)(x).clone(),
    "detach behind": lambda block, x: block(x).detach(),
    "detach before": lambda block, x: block(x.detach()),
}


class Cut(nn.Module):
    """Blocks one after the other, of which some are cut off from the gradients of those before or behind."""

    def __init__(self, cut: str, places: frozenset[int], beside: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Conv2d(3 if not n else 4, 4, 3, 4 if not n else 1, 1) for n in range(BLOCKS))
        self.head, self.direct = nn.Linear(4, 3), nn.Linear(3, 3)
        self.cut, self.places, self.beside = cut, places, beside

    def forward(self, x: Tensor) -> Tensor:
        places = x
        for n, block in enumerate(self.blocks):
            places = CUTS[self.cut](block, places) if n in self.places else block(places)
            places = places.relu()
        scores = self.head(places.mean((2, 3)))
        return scores + self.direct(x.mean((2, 3))) if self.beside else scores


def _examined(net: nn.Module, layer: str, batch: Tensor) -> bool:
    preprocess = fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3)
    return examine(Classifier("mine", net, preprocess, ("a", "b", "c")), layer, batch).reached


def _by_grad_cam(net: nn.Module, layer: str, batch: Tensor) -> bool:
    try:
        explain_by_cam(net, net.get_submodule(layer), batch, [0], "gradcam")
    except ModelMisbehaves as error:
        assert "no gradient reaches the explained layer" in str(error)
        return False
    return True


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(CUTS)),
    st.frozensets(st.integers(0, BLOCKS - 1)),
    st.integers(0, BLOCKS - 1),
    st.booleans(),
)
def test_the_record_says_what_grad_cam_finds(cut: str, places: frozenset[int], explained: int, beside: bool) -> None:
    net = Cut(cut, places, beside).eval()
    layer, batch = f"blocks.{explained}", torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert _examined(net, layer, batch) == _by_grad_cam(net, layer, batch)


@pytest.mark.parametrize("cut", CUTS)
def test_the_default_layer_is_behind_the_part_without_gradients(cut: str) -> None:
    net = Cut(cut, frozenset({0, 1}), beside=False).eval()
    assert default_layer(net, (3, 32, 32)).name == "blocks.2"
    assert _examined(net, "blocks.2", torch.randn(1, 3, 32, 32))
