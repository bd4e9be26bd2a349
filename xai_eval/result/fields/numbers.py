"""Floats as JSON, exactly, with names for values that JSON does not have; and distances of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: float) -> float | str:
    """Return the float, or 'NaN', 'Infinity', '-Infinity': strict JSON readers reject the bare words."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def from_json(value: float | str) -> float:
    """Undo `to_json`. Raises KeyError for any other string."""
    return _NAMES[value] if isinstance(value, str) else float(value)


def all_apart(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return the distance of every pair of two arrays of the same shape, as `apart` defines it."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):  # infinity minus infinity is invalid, but the two are equal
        return np.where(same, 0.0, np.nan_to_num(np.abs(first - second), nan=np.inf, posinf=np.inf))


def apart(first: float, second: float) -> float:
    """Return the distance of two numbers: 0 for two NaN or two equal infinities, infinite if only one is NaN."""
    if first == second or (math.isnan(first) and math.isnan(second)):
        return 0.0
    distance = abs(first - second)
    return math.inf if math.isnan(distance) else distance
