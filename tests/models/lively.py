"""Make random weights behave like trained ones, so that every layer counts for the answer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def lively(make: Callable[[], nn.Module], size: int, channels: int = 3) -> nn.Module:
    """Make a network with random weights, and give it what only training would give.

    Freshly made networks have heads and scales of 0, so that nothing counts for the answer, and statistics of batch
    norm that fit no input, so that signals die away in deep ones. Weights that are all alike get noise, and the
    statistics are those of four images of noise.

    Args:
        make: makes the network.
        size: side of its input in pixels.
        channels: number of channels of its input.
    """
    torch.manual_seed(0)
    network = make().eval()
    with torch.no_grad():
        for weights in network.parameters():
            if weights.numel() > 1 and float(weights.max() - weights.min()) == 0:
                weights.add_(torch.randn(weights.shape) * 0.1)
    _settle(network, torch.randn(4, channels, size, size))
    return network


def _settle(network: nn.Module, images: torch.Tensor) -> None:
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # averages over all passes, of which there is one
        norm.train()
    if norms:
        with torch.no_grad():
            network(images)
    network.eval()
