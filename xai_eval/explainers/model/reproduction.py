"""Check that a faster way of running a model gives the same logits as the model itself."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

# Allowed difference as a share of the largest logit. Rounding in batches of other sizes differs by about 1e-6; a
# shortcut that is wrong differs by far more than 1e-4.
TOLERANCE = 1e-4


def disagreement(logits: Any, expected: Tensor) -> str:
    """Describe how logits, (N, C), differ from the expected ones by more than rounding; return "" if they do not."""
    if not isinstance(logits, Tensor) or logits.shape != expected.shape:
        return f"expected logits {tuple(expected.shape)}, got {tuple(getattr(logits, 'shape', ()))}"
    largest = expected.abs().max().item()
    slack = TOLERANCE * largest if math.isfinite(largest) else 0.0
    if torch.allclose(logits, expected, rtol=0, atol=slack, equal_nan=True):
        return ""
    return f"logits of up to {largest:.3g} differ by {(logits - expected).abs().max().item():.3g}"
