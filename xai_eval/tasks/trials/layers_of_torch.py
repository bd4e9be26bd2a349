"""The layers that networks usually have, each on numbers that never change, in double precision."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Channels of the map that the layers get, and its side.
CHANNELS, SIDE = 8, 8


class _Attention(nn.Module):
    """Attention of all places to each other, in two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(CHANNELS, 2, batch_first=True)

    def forward(self, places: Tensor) -> Tensor:
        tokens = places.flatten(2).mT
        found: Tensor = self.inner(tokens, tokens, tokens, need_weights=False)[0]
        return found


def usual_layers() -> nn.ModuleList:
    """Return one layer of each kind; every one takes a map (1, CHANNELS, SIDE, SIDE)."""
    return nn.ModuleList(
        (
            nn.Conv2d(CHANNELS, 4, 3, stride=2, padding=1),
            nn.Conv2d(CHANNELS, CHANNELS, 3, dilation=2, groups=2, padding=2),
            nn.BatchNorm2d(CHANNELS),
            nn.GroupNorm(2, CHANNELS),
            nn.LayerNorm(SIDE),
            nn.ReLU(),
            nn.ReLU6(),
            nn.GELU(),
            nn.SiLU(),
            nn.Hardswish(),
            nn.Softmax(dim=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.AvgPool2d(2),
            nn.AdaptiveAvgPool2d(3),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Linear(SIDE, 3),
            _Attention(),
        )
    )


def answers(layers: nn.ModuleList, given: Tensor) -> NDArray[np.float64]:
    """Return what all layers give for a map, one after the other, (n,)."""
    with torch.no_grad():
        return torch.cat([layer(given).flatten() for layer in layers]).numpy()
