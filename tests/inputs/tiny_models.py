"""Very small models for tests, and an object that must never be unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, 2)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(batch).mean((2, 3)))


class Bomb:
    """Unpickling this touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
