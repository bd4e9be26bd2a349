"""Classifiers of timm with random weights, made small by timm's own options where a family has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timm
from lively import lively
from torch import nn

CLASSES = 6


def timm_net(name: str, size: int = 64, classes: int = CLASSES, **options: Any) -> Callable[[], nn.Module]:
    """Return a factory of one of timm's architectures.

    Args:
        name: timm's name of the architecture.
        size: side of the input in pixels.
        classes: number of classes; 0 for a network without a head.
        options: options of the architecture.
    """
    return lambda: lively(lambda: timm.create_model(name, pretrained=False, num_classes=classes, **options), size)
