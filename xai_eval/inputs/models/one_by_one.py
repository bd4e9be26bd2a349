"""Give images to a model one by one that takes single images only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class OneByOne(nn.Module):
    """A model that takes a batch (N, channels, H, W) and returns the answers to each image alone, joined.

    Args:
        inner: takes a single image, (1, channels, H, W), and returns a tensor whose first axis has one entry, or a list
            with one entry.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, batch: Tensor) -> Any:
        """Return the answers to a batch."""
        if len(batch) == 1:
            return self.inner(batch)
        answers = [self.inner(image) for image in torch.split(batch, 1)]
        return torch.cat(answers) if isinstance(answers[0], Tensor) else [each for one in answers for each in one]


def takes_one_image(module: nn.Module) -> bool:
    """Whether a model gets the images of a batch one by one."""
    return any(isinstance(part, OneByOne) for part in module.modules())
