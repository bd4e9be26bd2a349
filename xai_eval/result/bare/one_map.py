"""Finds the one map that an array holds, or says in one sentence how to choose it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.bare.wrong_value import wrong_value

_MAP = "one map of shape (h, w)"
_MOST_CHANNELS = 4


def one_map(array: NDArray[Any], value: object, where: str) -> NDArray[Any]:
    """Drop axes of length 1 in front and behind until the array has two axes: (1, 1, h, w) becomes (h, w).

    Args:
        array: the numbers of `value`, more than one.
        value: what the test gave.
        where: the call.

    Raises:
        UsageError: no single map is left. Nothing is added up or chosen: three maps may be the colours of one image or
            the maps of three, and there are several ways to make one of them.
    """
    front = 0
    while array.ndim > 2 and array.shape[0] == 1:
        array, front = array[0], front + 1
    behind = 0
    while array.ndim > 2 and array.shape[-1] == 1:
        array, behind = array[..., 0], behind + 1
    if array.ndim == 2:
        return array
    if array.ndim == 1:
        advice = (
            "A list of numbers has no place in an image: give names to its entries, "
            'check(pandas.DataFrame({"feature": names, "value": value}), name=...).'
        )
        raise wrong_value(where, value, advice)
    raise wrong_value(where, value, _choice(array.shape, _taken("value", front, behind)), _MAP)


def _taken(value: str, front: int, behind: int) -> str:
    return f"{value}{'[0]' * front}{'[..., 0]' * behind}"


def _choice(shape: tuple[int, ...], taken: str) -> str:
    """Say how to make one map of an array with more than two axes."""
    while len(shape) > 3:
        shape, taken = shape[1:], f"{taken}[0]"
    last = shape[-1] <= _MOST_CHANNELS < shape[0]
    each = f"{taken}[..., {{}}]" if last else f"{taken}[{{}}]"
    return (
        f"If these are the channels of one image, add them up, {taken}.sum({-1 if last else 0}), or keep them apart, "
        f'{{"first": {each.format(0)}, "second": {each.format(1)}, ...}}; if they are a batch, check each image alone.'
    )


def is_scalar(array: NDArray[Any]) -> bool:
    """Whether an array holds a single number."""
    return bool(np.size(array) == 1)
