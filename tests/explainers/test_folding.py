"""Batch norms are folded only where folding does not change the logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_eval.explainers.cam.fast.folding import folded_batch_norms


class Norms:
    """Counts the batch norms that compute."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def computed(self, x: Tensor) -> int:
        calls = []
        batch_norm = F.batch_norm
        F.batch_norm = lambda *args, **kwargs: calls.append(1) or batch_norm(*args, **kwargs)
        try:
            self.net(x)
        finally:
            F.batch_norm = batch_norm
        return len(calls)


def norm(channels: int = 4, **kwargs: bool) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels, **kwargs)
    if made.running_mean is not None:
        made.running_mean.uniform_(-1, 1)
        made.running_var.uniform_(0.5, 2)
    if made.affine:
        nn.init.uniform_(made.weight)
        nn.init.uniform_(made.bias)
    return made


class ConvolutionUsedTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), norm()

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        return self.norm(features) + features


class SharedConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 3, 3), norm(3), norm(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.conv(self.first(self.conv(x))))


class InPlaceBetween(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), norm()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu_())


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight - self.weight.mean(), self.bias)


FOLDED = {
    "plain": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), norm(), nn.ReLU(inplace=True)),
    "no bias": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm()),
    "not affine": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), norm(affine=False)),
    "groups": lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, stride=2), norm(6)),
    "reflecting": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), norm()),
    "parametrised": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), norm(), nn.ReLU()),
}
LEFT_ALONE = {
    "used twice": ConvolutionUsedTwice,
    "shared": SharedConvolution,
    "written between": InPlaceBetween,
    "own convolution": lambda: nn.Sequential(Standardised(3, 4, 3), norm()),
    "statistics of the batch": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), norm(track_running_stats=False)),
    "first": lambda: nn.Sequential(norm(3), nn.Conv2d(3, 4, 3)),
}


@pytest.mark.parametrize("case", FOLDED)
@torch.no_grad()
def test_folds_and_computes_the_same(case: str) -> None:
    torch.manual_seed(0)
    net, x = FOLDED[case]().eval(), torch.randn(2, 3, 8, 8)
    expected, norms = net(x), Norms(net)
    assert norms.computed(x) == 1
    with folded_batch_norms(net, x, torch.channels_last):
        assert norms.computed(x) == 0
        torch.testing.assert_close(net(x), expected)
    assert norms.computed(x) == 1
    assert torch.equal(net(x), expected)


@pytest.mark.parametrize("case", LEFT_ALONE)
@torch.no_grad()
def test_leaves_alone_what_folding_would_change(case: str) -> None:
    torch.manual_seed(0)
    net, x = LEFT_ALONE[case]().eval(), torch.randn(2, 3, 8, 8)
    expected, norms = net(x), Norms(net)
    computed = norms.computed(x)
    with folded_batch_norms(net, x, torch.channels_last):
        assert norms.computed(x) == computed
        assert torch.equal(net(x), expected)
