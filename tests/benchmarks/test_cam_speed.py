"""How much faster the fast paths are than the plain library, on ResNet50 at 224 px, both measured in one run.

    pytest -m benchmark --benchmark-enable tests/benchmarks -s

Times depend on the machine and what else it does, so the ratio is printed and kept, and equality is asserted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from stock_cams import StockMaps, stock_maps
from torch import Tensor, nn

from xai_eval.explainers.cam.cam_maps import explain_by_cam


@dataclass(frozen=True)
class Setting:
    net: nn.Module
    layer: nn.Module
    image: Tensor
    target: list[int]


@pytest.fixture(scope="module")
def setting() -> Setting:
    """Random weights cost what trained ones cost, and need no download."""
    torch.manual_seed(0)
    net = torchvision.models.resnet50().eval()
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        target = net(image).argmax(1).tolist()
    return Setting(net, net.layer4[-1], image, target)


def timed_stock(name: str, setting: Setting) -> tuple[StockMaps, float]:
    start = time.perf_counter()
    maps = stock_maps(name, setting.net, setting.layer, setting.image, setting.target)
    return maps, time.perf_counter() - start


@pytest.mark.benchmark
@pytest.mark.parametrize(("name", "tolerance", "rounds"), [("AblationCAM", 1e-5, 5), ("ScoreCAM", 1e-4, 1)])
def test_resnet50(name: str, tolerance: float, rounds: int, setting: Setting, benchmark: Any) -> None:
    arguments = (setting.net, setting.layer, setting.image, setting.target, name.lower())
    fast = benchmark.pedantic(explain_by_cam, arguments, rounds=rounds, warmup_rounds=rounds // 5)
    stock, seconds = timed_stock(name, setting)
    if benchmark.stats:  # absent where benchmarks are disabled
        quick = benchmark.stats.stats.median
        benchmark.extra_info["ratio"] = seconds / quick
        print(f"\n{name} ResNet50: stock {seconds:.1f} s, fast {quick:.2f} s, ratio {seconds / quick:.1f}")
    np.testing.assert_allclose(fast.layer, stock.layer, rtol=0, atol=tolerance)
    np.testing.assert_allclose(fast.image, stock.image, rtol=0, atol=tolerance)
