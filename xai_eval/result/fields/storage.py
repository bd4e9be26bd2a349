"""Converts the attributes of any kind of field to JSON and arrays and back, as their annotations say."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from xai_eval.result.fields.numbers import to_json
from xai_eval.result.fields.stored_arrays import kinds_of


@dataclass(frozen=True)
class Layout:
    """How a kind of field is stored.

    Attributes:
        arrays: the attributes that are arrays, each with the kinds of numbers that it may hold.
        kinds: for every other attribute its annotation, as `xai_eval.disk.typed` reads it.
    """

    arrays: Mapping[str, str]
    kinds: Mapping[str, Any]


@functools.cache
def layout_of(kind: type) -> Layout:
    """Read from the annotations of a dataclass how it is stored."""
    hints = get_type_hints(kind)
    names = [attribute.name for attribute in dataclasses.fields(kind)]
    arrays = {name: kinds_of(tuple(_scalars(hints[name]))) for name in names if get_origin(hints[name]) is np.ndarray}
    return Layout(arrays, {name: hints[name] for name in names if name not in arrays})


def to_stored(value: Any) -> Any:
    """Return a value as JSON: floats exactly, tuples as lists, dataclasses and mappings as objects."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float | np.floating):
        return to_json(float(value))
    if isinstance(value, tuple | list):
        return [to_stored(each) for each in value]
    if dataclasses.is_dataclass(value):
        return {each.name: to_stored(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: to_stored(each) for name, each in value.items()}
    return value


def _scalars(hint: Any) -> Iterator[type]:
    """Yield the scalar types that an annotation such as NDArray[np.floating[Any]] names."""
    for part in get_args(hint):
        yield from _scalars(part)
    scalar = get_origin(hint) or hint
    if isinstance(scalar, type) and issubclass(scalar, np.generic):
        yield scalar
