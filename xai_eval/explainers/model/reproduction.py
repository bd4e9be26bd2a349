"""Whether a shortcut through a model gives the model's own logits."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

# Of the largest logit. Batch sizes differ by 1e-6 in rounding; a wrong shortcut is off by far more.
TOLERANCE = 1e-4


def disagreement(logits: Any, expected: Tensor) -> str:
    """Say how logits, (N, classes), differ from the expected ones beyond rounding; empty where they do not."""
    if not isinstance(logits, Tensor) or logits.shape != expected.shape:
        return f"expected logits {tuple(expected.shape)}, got {tuple(getattr(logits, 'shape', ()))}"
    largest = expected.abs().max().item()
    slack = TOLERANCE * largest if math.isfinite(largest) else 0.0
    if torch.allclose(logits, expected, rtol=0, atol=slack, equal_nan=True):
        return ""
    return f"logits of up to {largest:.3g} differ by {(logits - expected).abs().max().item():.3g}"
