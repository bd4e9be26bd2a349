"""Maps of transformers are those of pytorch-grad-cam with the `reshape_transform` that its documentation gives.

The reference is written out here and in `small_transformers`: it shares nothing with the layout that is measured.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit
from small_transformers import CLASS_TOKEN, FAMILIES, HOME_MADE, Family, channels_last, tokens
from stock_cams import StockMaps, stock_maps
from torch import Tensor, nn

from xai_eval.errors import UsageError
from xai_eval.explainers.cam.cam_maps import CamMaps, explain_by_cam
from xai_eval.inputs.models.default_layer import default_layer
from xai_eval.inputs.models.first_answers import first_answers
from xai_eval.inputs.models.layers import layout_of
from xai_eval.inputs.models.layout import Layout

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

EXACT = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "eigencam": "EigenCAM",
}
# Before the explained layer we compute no gradients. PyTorch then takes other kernels here (the fast path of
# `nn.MultiheadAttention`, for one), which round differently; the library itself does so too if the model is frozen.
ROUNDED = {"torchvision vit", "open_clip"}
# Attention with a bias that is a parameter takes another kernel if the bias requires a gradient. In our code no
# parameter does, so the library is called on a frozen model, too.
FROZEN = {"timm beit", "transformers swin"}
ALL = {**FAMILIES, **{name: each for name, each in HOME_MADE.items() if "class token" in name}}


class Logits(nn.Module):
    """What pytorch-grad-cam's documentation makes of a model of Hugging Face: one that returns the logits alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        output = self.net(x)
        return output if isinstance(output, Tensor) else output.logits


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network that is ready to be explained by our code alone: its layer and layout are found."""

    net: nn.Module
    image: Tensor
    layer: str | None = None

    @cached_property
    def scoring(self) -> nn.Module:
        return first_answers(self.net, tuple(self.image.shape[1:]), None, None, "mine").scoring(self.net)

    @cached_property
    def name(self) -> str:
        return self.layer or default_layer(self.scoring, tuple(self.image.shape[1:]), self.net).name

    @cached_property
    def layout(self) -> Layout:
        return layout_of(self.scoring, self.net, "mine", self.name, self.image)

    def maps(self, method: str) -> CamMaps:
        layer = self.net.get_submodule(self.name)
        return explain_by_cam(self.scoring, layer, self.image, [1], method, layout=self.layout)


def assert_equal(maps: CamMaps, stock: StockMaps) -> None:
    assert np.ptp(stock.raw) > 0
    assert np.abs(maps.raw - stock.raw).max() == 0
    assert np.abs(maps.layer - stock.layer).max() == 0
    assert np.abs(maps.image - stock.image).max() == 0


@pytest.mark.parametrize("name", ALL)
def test_maps_are_the_librarys_to_the_last_bit(name: str) -> None:
    family = ALL[name]
    mine, image = Prepared(family.made(), family.image()), family.image().requires_grad_(name in FROZEN)
    plain = family.made().requires_grad_(name not in FROZEN)
    for method, stock in EXACT.items():
        expected = stock_maps(stock, Logits(plain), plain.get_submodule(family.layer), image, [1], family.reshape)
        maps = mine.maps(method)
        if name not in ROUNDED:
            assert_equal(maps, expected)
        np.testing.assert_allclose(maps.raw, expected.raw, rtol=0, atol=3e-6 * np.abs(expected.raw).max())
        np.testing.assert_allclose(maps.layer, expected.layer, rtol=0, atol=1e-5)
        np.testing.assert_allclose(maps.image, expected.image, rtol=0, atol=1e-5)


def test_more_than_twelve_families_have_no_difference_at_all() -> None:
    assert len(set(FAMILIES) - ROUNDED) > 12


def assert_as_exact(maps: CamMaps, stock: StockMaps, exact: StockMaps) -> None:
    """No farther from the library in double precision than the library in single precision, but for chance."""
    size = np.abs(exact.raw).max()
    assert np.ptp(exact.raw) > 1e-3 * size
    for one, other, right in (
        (maps.raw / size, stock.raw / size, exact.raw / size),
        (maps.layer, stock.layer, exact.layer),
        (maps.image, stock.image, exact.image),
    ):
        assert largest(one, right) <= 3 * largest(other, right) + 1e-5


class AnyArguments(AblationLayerVit):
    """The library's, for blocks that are given more than their tokens."""

    def __call__(self, x: Tensor, *_: object, **__: object) -> Tensor:
        return super().__call__(x)


def largest(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    return float(np.abs(one - other).max())


def stock_pair(stock: str, family: Family, ablation: type[AblationLayer] | None = None) -> tuple[StockMaps, StockMaps]:
    maps = []
    for dtype in (torch.float32, torch.float64):
        net = Logits(family.made()).to(dtype)
        layer = net.net.get_submodule(family.layer)
        layers = ablation() if ablation else None
        maps.append(stock_maps(stock, net, layer, family.image().to(dtype), [1], family.reshape, layers))
    return maps[0], maps[1]


@pytest.mark.parametrize("name", ALL)
def test_scorecam_is_the_librarys(name: str) -> None:
    family = ALL[name]
    assert_as_exact(Prepared(family.made(), family.image()).maps("scorecam"), *stock_pair("ScoreCAM", family))


@pytest.mark.parametrize("name", ALL)
def test_ablationcam_is_the_librarys_with_its_ablation_of_tokens(name: str) -> None:
    family = ALL[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # the prefix is replayed
        maps = Prepared(family.made(), family.image()).maps("ablationcam")
    assert_as_exact(maps, *stock_pair("AblationCAM", family, AnyArguments))


class Marked(nn.Module):
    """A block that returns a tuple, or numbers of half precision, and a mark where its tensor passes as the library
    takes it: alone, and in single precision."""

    def __init__(self, dtype: torch.dtype = torch.float32, kind: type | None = None, grid: int = 4) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.patches = nn.Conv2d(3, 6, 32 // grid, 32 // grid)
        self.block = Wrapping(nn.Linear(6, 6), kind)
        self.mark = nn.Identity()
        self.head = nn.Linear(6, 5)
        self.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x.to(self.head.weight.dtype)).flatten(2).mT
        x = self.block(torch.cat([x.mean(1, keepdim=True), x], dim=1))
        x = x if isinstance(x, Tensor) else x[0]
        x = self.mark(x.float()).to(x.dtype)
        return self.head(x.tanh().square().mean(1)).float()


class Wrapping(nn.Module):
    def __init__(self, inner: nn.Module, kind: type | None) -> None:
        super().__init__()
        self.inner, self.kind = inner, kind

    def forward(self, x: Tensor) -> object:
        return self.inner(x) if self.kind is None else self.kind((self.inner(x), "weights", None))


HALVES = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize(
    ("dtype", "kind"),
    [(torch.float32, tuple), (torch.float32, list), *((dtype, None) for dtype in HALVES), (HALVES[1], tuple)],
)
def test_tuples_and_half_precision_give_the_map_of_their_tensor(
    method: str, dtype: torch.dtype, kind: type | None
) -> None:
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    plain = Marked(dtype, kind).eval()
    expected = stock_maps(EXACT[method], plain, plain.mark, image, [1], CLASS_TOKEN)
    assert_equal(Prepared(Marked(dtype, kind).eval(), image, "block").maps(method), expected)


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, tuple), (torch.float32, list), (torch.bfloat16, None)])
def test_scorecam_takes_tuples_and_half_precision(dtype: torch.dtype, kind: type | None) -> None:
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    plain = Marked(dtype, kind).eval()
    expected = stock_maps("ScoreCAM", plain, plain.mark, image, [1], CLASS_TOKEN)
    maps = Prepared(Marked(dtype, kind).eval(), image, "block").maps("scorecam")
    np.testing.assert_allclose(maps.layer, expected.layer, rtol=0, atol=1e-4 if dtype is torch.float32 else 2e-2)


def test_ablationcam_refuses_what_the_library_cannot_ablate() -> None:
    image = torch.randn(1, 3, 32, 32)
    message = "this layer returns tokens, 4 x 4 places and 1 before them inside a tuple"
    with pytest.raises(UsageError, match=message):
        Prepared(Marked(kind=tuple).eval(), image, "block").maps("ablationcam")
    net = Marked().eval()
    turned = Layout((4, 4), 0, before=1, maps=False)
    with pytest.raises(UsageError, match=r"ablationcam sets channels .* Choose another --layer, or another method"):
        explain_by_cam(net, net.block, image, [1], "ablationcam", layout=turned)


@pytest.mark.parametrize("method", [*EXACT, "scorecam", "ablationcam"])
def test_nothing_is_left_on_the_layer(method: str) -> None:
    kind = None if method == "ablationcam" else tuple
    net = Marked(kind=kind).eval()
    image, before = torch.randn(1, 3, 32, 32), copy.deepcopy(net.state_dict())
    answer = net(image)
    Prepared(net, image, "block").maps(method)
    assert not any(part._forward_hooks for part in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(net(image), answer)


def test_a_shifted_layout_would_be_noticed() -> None:
    """The reference itself tells: with one token more in front, or rows for columns, the map is another."""
    family = FAMILIES["timm vit, registers"]
    net, image = family.made(), family.image()
    right = Prepared(net, image).maps("hirescam").raw
    for wrong in (lambda x: tokens(4, before=4)(x[:, :-1]), lambda x: tokens(4, before=5)(x).mT):
        other = stock_maps("HiResCAM", net, net.get_submodule(family.layer), image, [1], wrong)
        assert np.abs(right - other.raw).max() > 0
    swin = FAMILIES["timm swin"]
    assert channels_last(torch.zeros(1, 2, 3, 4)).shape == (1, 4, 2, 3) and swin.reshape is channels_last
