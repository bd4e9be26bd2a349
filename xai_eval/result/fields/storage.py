"""Converts the attributes of any kind of field to JSON and arrays and back, as their annotations say."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from xai_eval.result.fields.numbers import from_json, to_json

Reader = Callable[[Any], Any]


@dataclass(frozen=True)
class Layout:
    """How a kind of field is stored.

    Attributes:
        arrays: names of the attributes that are arrays.
        readers: for every other attribute the function that makes it from JSON.
    """

    arrays: tuple[str, ...]
    readers: Mapping[str, Reader]


@functools.cache
def layout_of(kind: type) -> Layout:
    """Read from the annotations of a dataclass how it is stored."""
    hints = get_type_hints(kind)
    names = [attribute.name for attribute in dataclasses.fields(kind)]
    arrays = tuple(name for name in names if get_origin(hints[name]) is np.ndarray)
    return Layout(arrays, {name: _reader(hints[name]) for name in names if name not in arrays})


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


def _reader(hint: Any) -> Reader:
    parts = get_args(hint)
    if hint is float:  # an integer stays one, so that it is stored as the same bytes again
        return lambda value: from_json(value) if isinstance(value, str) else value
    if hint is int:
        return int
    if dataclasses.is_dataclass(hint):
        make: Any = hint
        readers = layout_of(make).readers
        return lambda value: make(**{name: readers[name](each) for name, each in value.items()})
    if get_origin(hint) is tuple:
        read = _reader(parts[0])
        return lambda values: tuple(map(read, values))
    if len(parts) == 2 and types.NoneType in parts:
        given = _reader(parts[parts[0] is types.NoneType])
        return lambda value: None if value is None else given(value)
    return lambda value: value
