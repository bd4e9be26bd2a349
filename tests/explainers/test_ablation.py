"""AblationCAM on a replayed prefix gives what the library gives by itself.

On small networks the maps agree to 1e-5. On known networks, two correct float32 computations can differ by more,
depending on the number of threads and the shape of batches; there both are compared with the library in float64.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
import trap_nets
from narrow_nets import NETWORKS
from numpy.typing import NDArray
from pytorch_grad_cam import AblationCAM, AblationLayer
from stock_cams import StockMaps, stock_maps
from torch import Tensor, nn

from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.cam.fast.ablation import ReplayedAblation
from xai_eval.explainers.cam.fast.parts import Parts
from xai_eval.explainers.cam.fast.replay import PrefixReplay

Layer = Callable[[nn.Module], nn.Module]


def images(count: int, size: int) -> Tensor:
    # Brighter and darker images, so that a network whose calls depend on the image calls different modules.
    offsets = torch.tensor([1.0, -1.0, 0.5])[:count, None, None, None]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1)) + offsets


def predicted(net: nn.Module, images: Tensor) -> list[int]:
    with torch.no_grad():
        return net.eval()(images).argmax(1).tolist()


def assert_equals_stock(net: nn.Module, layer: nn.Module, images: Tensor) -> None:
    classes = predicted(net, images)
    fast = explain_by_cam(net, layer, images, classes, "ablationcam")
    stock = stock_maps("AblationCAM", net, layer, images, classes)
    size = np.abs(stock.raw).max()
    assert np.ptp(stock.raw) > 0.1 * size  # the map is not nearly constant
    np.testing.assert_allclose(fast.raw / size, stock.raw / size, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fast.layer, stock.layer, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fast.image, stock.image, rtol=0, atol=1e-5)


def assert_as_exact_as_stock(net: nn.Module, layer: nn.Module, images: Tensor) -> None:
    """Our float32 map may be no farther from the library's float64 map than the library's own float32 map is.

    Both distances are the largest of a few hundred sums of rounding errors, so that either may be the larger one by
    chance: a factor of 3 is allowed, and what a few roundings of the last bit make where the library has hardly any
    error. A map of the wrong channels, layer or image is off by a thousand times that.
    """
    classes = predicted(net, images)
    fast = explain_by_cam(net, layer, images, classes, "ablationcam")
    stock = stock_maps("AblationCAM", net, layer, images, classes)
    exact = stock_in_double(net, layer, images, classes)
    size = np.abs(exact.raw).max()
    assert np.ptp(exact.raw) > 0.1 * size
    assert_no_farther(fast.raw / size, stock.raw / size, exact.raw / size)
    assert_no_farther(fast.layer, stock.layer, exact.layer)
    assert_no_farther(fast.image, stock.image, exact.image)


def stock_in_double(net: nn.Module, layer: nn.Module, images: Tensor, classes: list[int]) -> StockMaps:
    name = next(name for name, module in net.named_modules() if module is layer)
    double = copy.deepcopy(net).double()
    return stock_maps("AblationCAM", double, double.get_submodule(name), images.double(), classes)


def assert_no_farther(ours: NDArray[np.floating], stock: NDArray[np.floating], exact: NDArray[np.floating]) -> None:
    theirs = np.abs(stock - exact).max()
    assert theirs < 1e-3, "the library's own float32 map is not its float64 map, so that it says nothing of ours"
    assert np.abs(ours - exact).max() <= 3 * theirs + 8 * np.finfo(np.float32).eps


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("build", trap_nets.REPLAYED)
def test_traps_are_replayed_and_equal_the_library(build: Callable[[], trap_nets.Net], count: int) -> None:
    torch.manual_seed(5)
    net = build()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_equals_stock(net, net.explained, images(count, 12))


@pytest.mark.parametrize("build", trap_nets.FALLING_BACK)
def test_what_cannot_be_replayed_falls_back_to_the_library(build: Callable[[], trap_nets.Net]) -> None:
    torch.manual_seed(5)
    net = build()
    with pytest.warns(RuntimeWarning, match="cannot be replayed"):
        assert_equals_stock(net, net.explained, images(3, 12))


# Two of torchvision's networks as they are, and all kinds of them with few channels. By default the small ones run.
WIDE_CASES: list[tuple[str, Layer, int, int]] = [("mobilenet_v2", lambda m: m.features[4].conv[1][0], 48, 1)]
SLOW_WIDE_CASES: list[tuple[str, Layer, int, int]] = [
    ("resnet18", lambda m: m.layer4[-1], 64, 1),
]
NARROW_CASES: list[tuple[str, Layer, int, int]] = [
    ("resnet18", lambda m: m.layer4[-1], 64, 2),
    ("resnet18", lambda m: m.layer3[0].conv2, 40, 2),
    ("vgg16", lambda m: m.features, 64, 1),
]
SLOW_NARROW_CASES: list[tuple[str, Layer, int, int]] = [
    ("resnet18", lambda m: m.layer4[-1], 224, 1),
    ("resnet18", lambda m: m.layer4[-1].relu, 96, 1),
    ("resnet18", lambda m: m.layer3[0].downsample, 96, 3),
    ("resnet50", lambda m: m.layer4[-1], 64, 3),
    ("resnet50", lambda m: m.layer3[2].conv2, 64, 1),
    ("densenet121", lambda m: m.features, 96, 3),
    ("densenet121", lambda m: m.features.denseblock4.denselayer16, 96, 3),
    ("densenet121", lambda m: m.features.denseblock3, 64, 1),
    ("mobilenet_v2", lambda m: m.features[-1], 96, 3),
    ("mobilenet_v2", lambda m: m.features[-1][0], 96, 1),
    ("vgg16", lambda m: m.features[28], 64, 3),
    ("shufflenet_v2", lambda m: m.stage4, 96, 2),
    ("convnext_tiny", lambda m: m.features[-1], 64, 1),
    ("swin_t", lambda m: m.permute, 96, 1),
]


def also_slow(cases: list[tuple[str, Layer, int, int]], slow: list[tuple[str, Layer, int, int]]) -> list[Any]:
    return [*cases, *(pytest.param(*case, marks=pytest.mark.slow) for case in slow)]


@pytest.mark.parametrize(("name", "find", "size", "count"), also_slow(WIDE_CASES, SLOW_WIDE_CASES))
def test_known_networks(name: str, find: Layer, size: int, count: int) -> None:
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None, num_classes=10)
    check_known_network(net, find(net), images(count, size))


@pytest.mark.parametrize(("name", "find", "size", "count"), also_slow(NARROW_CASES, SLOW_NARROW_CASES))
def test_known_networks_with_few_channels(name: str, find: Layer, size: int, count: int) -> None:
    torch.manual_seed(0)
    net = NETWORKS[name]()
    check_known_network(net, find(net), images(count, size))


def check_known_network(net: nn.Module, layer: nn.Module, images: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert_as_exact_as_stock(net, layer, images)


@pytest.mark.parametrize("lowest", [0.0, -2.0, 3.0, 1e7, 2e7, float("nan")])
def test_ablated_activations_are_the_librarys(lowest: float) -> None:
    """Two images, three batches each, the last one shorter: every row of what stands in for the layer."""
    activations = torch.rand(2, 7, 4, 4, generator=torch.Generator().manual_seed(0)) + 1 + max(lowest, 0)
    activations[:, 3, 0, 0] = lowest
    fast, stock = ReplayedAblation(PrefixReplay(nn.Identity(), nn.Identity()), Parts(32)), AblationLayer()
    fast._replay.trusted = False  # no model to verify a replay with
    for image in range(2):
        for layer in (fast, stock):
            layer.activations_to_be_ablated(activations[image].numpy())
        for rows in (3, 3, 1):
            answers = []
            for layer in (fast, stock):
                layer.set_next_batch(image, activations, rows)
                answers.append(layer(None).clone())
                layer.indices = layer.indices[rows:]
            assert torch.equal(answers[0].nan_to_num(7), answers[1].nan_to_num(7))


def test_the_librarys_shared_default_ablation_layer_is_not_used() -> None:
    shared = inspect.signature(AblationCAM.__init__).parameters["ablation_layer"].default
    before = dict(vars(shared))
    net = trap_nets.Net()
    explain_by_cam(net, net.explained, images(1, 12), [0], "ablationcam")
    assert vars(shared) == before
