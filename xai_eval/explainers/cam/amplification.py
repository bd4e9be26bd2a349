"""Measures how much more than its inputs a class activation map moves.

Some methods divide by a sum, or add terms of both signs. Where these nearly cancel, rounding of the activations moves
the map many times as much: XGradCAM divides by the sum of the activations of each channel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
RawMap = Callable[[Array, Array | None], Array]
# A change in double precision so small that the map answers in proportion, and so large that rounding does not count.
_STEP = 1e-6
_DRAWS = 3


def amplification(raw_map: RawMap, activations: Array, gradients: Array | None) -> float:
    """Return how many times as much as its inputs a map changes, as a ratio of relative changes; at least 1.

    Every value is moved by a random share, several times, and the largest ratio counts. The draws are the same in every
    run. It is 1 for a map that is zero everywhere or not finite.

    Args:
        raw_map: computes the map from activations and gradients of a layer, (N, C, h, w) each.
        activations: of the layer.
        gradients: of the layer; None if the method needs none.
    """
    inputs = activations.astype(np.float64), None if gradients is None else gradients.astype(np.float64)
    usual = raw_map(*inputs).astype(np.float64)
    scale, found = float(np.linalg.norm(usual)), 1.0
    if not np.isfinite(scale) or scale == 0.0:
        return found
    for seed in range(_DRAWS):
        rng = np.random.default_rng(seed)
        moved, moved_gradients = _moved(inputs[0], rng), None if inputs[1] is None else _moved(inputs[1], rng)
        change = float(np.linalg.norm(raw_map(moved, moved_gradients) - usual)) / scale / _STEP
        found = max(found, change) if np.isfinite(change) else found
    return round(found, 2)


def _moved(array: Array, rng: np.random.Generator) -> Array:
    return array * (1.0 + _STEP * rng.choice((-1.0, 1.0), array.shape))
