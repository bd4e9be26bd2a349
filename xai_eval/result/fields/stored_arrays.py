"""Arrays as they are read back: one that is missing, or of another kind or shape, is an error that names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import WrongValue

_WORDS = {"b": "yes and no", "iu": "whole numbers", "f": "floats", "fiu": "numbers"}
# By the annotation of an attribute, the kinds of numbers that it may hold. Numbers of more bits are no other kind.
_KINDS = ((np.bool_, "b"), (np.integer, "iu"), (np.floating, "fiu"))


def stored_array(arrays: Mapping[str, NDArray[Any]], name: str, kind: str, axes: int | None = None) -> NDArray[Any]:
    """Return the array `name` of a field.

    Args:
        arrays: those of the field, by part.
        name: of the array.
        kind: the kinds of numbers that it may hold, as numpy names them: "b", "iu", "f" or "fiu"; any if empty.
        axes: how many axes it has; any number if None.

    Raises:
        WrongValue: there is no such array, or it is of another kind or has another number of axes.
    """
    if name not in arrays:
        raise WrongValue(f"has no array {name!r}; expected one")
    found = arrays[name]
    require_kind(found, kind, name)
    if axes is not None and found.ndim != axes:
        raise WrongValue(f"is an array of shape {found.shape}; expected one with {axes} axes", f".{name}")
    return found


def require_kind(array: NDArray[Any], kind: str, name: str) -> None:
    """Raise WrongValue if the array of that name holds numbers of another kind."""
    if kind and array.dtype.kind not in kind:
        raise WrongValue(f"is an array of {array.dtype}; expected {_WORDS[kind]}", f".{name}")


def require_shape(array: NDArray[Any], shape: tuple[int, ...], name: str) -> None:
    """Raise WrongValue if the array of that name has another shape."""
    if array.shape != shape:
        raise WrongValue(f"is an array of shape {array.shape}; expected {shape}", f".{name}")


def kinds_of(annotated: tuple[type, ...]) -> str:
    """Return the kinds of numbers that an attribute annotated with these scalar types may hold; empty if unknown."""
    found = {kind for each in annotated for base, kind in _KINDS if issubclass(each, base)}
    return max(found, key=len, default="")
