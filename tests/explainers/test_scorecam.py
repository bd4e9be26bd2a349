"""ScoreCAM runs masked images faster and gives the same maps as the library."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import pytest
import torch
import torchvision
import trap_nets
from narrow_nets import NETWORKS
from stock_cams import stock_maps
from tf32 import tf32
from torch import Tensor, nn

from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.cam.fast import ablation, scorecam
from xai_eval.explainers.cam.fast.rows_at_once import ON_CPU, rows_at_once, rows_that_fit
from xai_eval.explainers.cam.fast.scorecam import MaskScorer
from xai_eval.explainers.model.full_precision import rounds_convolutions
from xai_eval.inputs.models.layout import Layout

Layer = Callable[[nn.Module], nn.Module]
DEFAULT_CASES: list[tuple[str, Layer, int, int]] = [
    ("resnet18", lambda m: m.layer1[-1], 48, 2),
    ("mobilenet_v2", lambda m: m.features[10], 48, 1),
]
NARROW_CASES: list[tuple[str, Layer, int, int]] = [
    ("resnet18", lambda m: m.layer4[-1], 96, 2),
    ("resnet50", lambda m: m.layer4[-1], 64, 1),
    ("mobilenet_v2", lambda m: m.features[-2], 96, 1),
]
SLOW_NARROW_CASES: list[tuple[str, Layer, int, int]] = [
    ("densenet121", lambda m: m.features, 64, 1),
    ("vgg16", lambda m: m.features[28], 64, 1),
]


@pytest.mark.parametrize(("name", "find", "size", "count"), DEFAULT_CASES)
def test_small_images_on_known_networks(name: str, find: Layer, size: int, count: int) -> None:
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None, num_classes=10)
    check_known_network(net, find, size, count)


@pytest.mark.parametrize(
    ("name", "find", "size", "count"),
    [*NARROW_CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW_NARROW_CASES)],
)
def test_known_networks_with_few_channels(name: str, find: Layer, size: int, count: int) -> None:
    torch.manual_seed(0)
    check_known_network(NETWORKS[name](), find, size, count)


def check_known_network(net: nn.Module, find: Layer, size: int, count: int) -> None:
    randomise_norms(net)
    assert_equals_stock(net, find(net), torch.randn(count, 3, size, size))


def randomise_norms(net: nn.Module) -> None:
    """Give batch norms random statistics, because those of a new network change nothing."""
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, low in ((norm.weight, 0.5), (norm.bias, -0.2), (norm.running_mean, -0.2)):
                nn.init.uniform_(values, low, low + 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)


@pytest.mark.parametrize("build", [*trap_nets.REPLAYED, *trap_nets.FALLING_BACK])
def test_traps_equal_the_library(build: Callable[[], trap_nets.Net]) -> None:
    torch.manual_seed(5)
    net = build()
    assert_equals_stock(net, net.explained, torch.randn(2, 3, 12, 12))


def assert_equals_stock(net: nn.Module, layer: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        classes = net.eval()(images).argmax(1).tolist()
    fast = explain_by_cam(net, layer, images, classes, "scorecam")
    stock = stock_maps("ScoreCAM", net, layer, images, classes)
    assert np.ptp(stock.raw) > 0.05 * np.abs(stock.raw).max()
    np.testing.assert_allclose(fast.layer, stock.layer, rtol=0, atol=1e-4)
    np.testing.assert_allclose(fast.image, stock.image, rtol=0, atol=1e-4)


class SumAndCount(nn.Module):
    """Returns two logits per image, and stores the images that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen += list(x)
        return torch.stack([x.sum((1, 2, 3)), x.square().sum((1, 2, 3)) + 1], dim=1)


def scorer(model: nn.Module, stack: ExitStack) -> MaskScorer:
    return MaskScorer(model, stack)


def test_blank_images_are_scored_once_in_all_batches() -> None:
    model, batch = SumAndCount(), torch.randn(5, 3, 4, 4)
    batch[[1, 3]] = 0
    with ExitStack() as stack:
        score = scorer(model, stack)
        expected = SumAndCount()(batch)
        torch.testing.assert_close(score(batch), expected)
        model.seen.clear()
        torch.testing.assert_close(score(batch.flip(0)), expected.flip(0))
        torch.testing.assert_close(score(torch.zeros(4, 3, 4, 4)), expected[[1, 1, 1, 1]])
    assert len(model.seen) == 3 and all(image.any() for image in model.seen)


def test_activations_of_masked_images_are_not_collected() -> None:
    """The library's hooks would copy them from a GPU; only those of the first pass are used."""
    asked = []

    class Layout4(Layout):
        def __call__(self, output: Tensor) -> Tensor:
            asked.append(len(output))
            return output

    net = nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()
    image = torch.randn(1, 3, 8, 8)
    net(image)
    explain_by_cam(net, net[0], image, [0], "scorecam", layout=Layout4((6, 6), halved=True))
    assert asked == [1]


def test_parameters_and_their_memory_are_the_models_own_afterwards() -> None:
    net = torchvision.models.resnet18(num_classes=4)
    before = [(p, p.data_ptr(), p.stride(), p.detach().clone()) for p in net.parameters()]
    explain_by_cam(net, net.layer1, torch.randn(1, 3, 32, 32), [0], "scorecam")
    for p, address, stride, values in before:
        assert p.data_ptr() == address and p.stride() == stride and torch.equal(p, values)


def test_masks_on_a_gpu_are_scored_without_a_wait() -> None:
    """The meta device stands for a GPU: whatever needs a value fails on it."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2)).eval()
    model(torch.zeros(1, 3, 8, 8))
    seen = []
    with ExitStack() as stack:
        score = MaskScorer(model.to("meta"), stack)
        score._layout = torch.channels_last
        score._run = lambda batch, run=score._run: seen.append(run(batch)) or torch.zeros(len(batch), 2)
        assert score(torch.zeros(5, 3, 8, 8, device="meta")).shape == (5, 2)
    assert seen[0].shape == (5, 2) and seen[0].device.type == "meta"


@pytest.mark.parametrize("count", [4, 20])
def test_the_librarys_loop_over_ablated_channels_reads_scores_on_the_cpu(count: int) -> None:
    """What the library reads one by one was handed over at once."""
    read = []
    net = nn.Sequential(nn.Conv2d(3, count, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).eval()
    image = torch.randn(1, 3, 8, 8)
    net(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "map_tensors", lambda move, output: read.append(move) or output)
        explain_by_cam(net, net[0], image, [0], "ablationcam")
    # The first pass, the score of the image, and one hand-over per batch of 32 channels.
    assert set(read) == {Tensor.cpu} and len(read) <= 3


@pytest.mark.parametrize(
    ("free", "needed", "expected"), [(10**12, 10**6, 256), (10**9, 10**7, 32), (10**6, 10**7, 8), (0, 1, 8), (-5, 1, 8)]
)
def test_as_many_images_as_half_of_the_free_memory_holds(free: int, needed: int, expected: int) -> None:
    assert rows_that_fit(free, needed) == expected


def test_on_a_cpu_no_memory_is_asked_for() -> None:
    assert rows_at_once(nn.Identity(), torch.zeros(1, 3, 224, 224), 10**15) == ON_CPU


@pytest.mark.parametrize(("side", "expected"), [(8, 32), (112, 32), (113, 16), (158, 16), (159, 8), (1024, 8)])
def test_small_images_are_computed_more_at_once(side: int, expected: int) -> None:
    assert rows_at_once(nn.Identity(), torch.zeros(1, 3, side, side)) == expected


def test_where_convolutions_round_their_inputs_nothing_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: weights that are folded are rounded otherwise, so maps would differ by more than 1e-4."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).eval()
    image = torch.randn(1, 3, 12, 12)
    net(image)
    randomise_norms(net)
    monkeypatch.setattr(scorecam, "rounds_convolutions", lambda _device: True)
    monkeypatch.setattr(scorecam, "folded_batch_norms", lambda *_: pytest.fail("batch norms are folded"))
    with tf32():
        stock = stock_maps("ScoreCAM", net, net[0], image, [1])
        found = explain_by_cam(net, net[0], image, [1], "scorecam")
    np.testing.assert_allclose(found.layer, stock.layer, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.image, stock.image, rtol=0, atol=1e-4)


def test_convolutions_round_on_gpus_that_are_allowed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert rounds_convolutions(torch.device("cuda")) and not rounds_convolutions(torch.device("cpu"))
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert not rounds_convolutions(torch.device("cuda"))
