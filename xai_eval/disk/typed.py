"""Makes values of annotated types from JSON. What has another type is an error that names the place.

A document from disk may have been edited by anybody, and be signed all the same. So every reader says by a dataclass,
or by a type, what it expects, and reads through this file; nothing behind it sees a value of another type.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import reprlib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from xai_eval.disk.bounds import DEEPEST, LARGEST_WHOLE, LONGEST_TEXT

Reader = Callable[[Any], Any]
_NAMED_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SHOWN = 60
_SPELLING = reprlib.Repr()
_SPELLING.maxstring = _SPELLING.maxother = 2 * _SHOWN
_REQUIRED: Any = object()


class WrongValue(ValueError):
    """A value of a document has the wrong type or is missing.

    Attributes:
        place: where it stands in the document, such as `.fields[2].index`.
        said: what it is, and what was expected.
    """

    def __init__(self, said: str, place: str = "") -> None:
        super().__init__(said, place)
        self.said, self.place = said, place

    def __str__(self) -> str:
        return f"{self.place.lstrip('.') or 'the document'} {self.said}"

    def below(self, part: str | int) -> WrongValue:
        """Return the same error as seen from outside of the part in which it happened."""
        step = f"[{part}]" if isinstance(part, int) else f".{_short(part)}"
        return WrongValue(self.said, f"{step}{self.place}")


def wrong(value: object, expected: str) -> WrongValue:
    """Return the error for a value that is not what was expected."""
    return WrongValue(f"is {shown(value)}; expected {expected}")


def read_as(kind: Any, value: Any) -> Any:
    """Return a JSON value as an annotated type.

    Args:
        kind: str, int, float, bool, None, Any (JSON of any kind), tuples and mappings of these, named tuples and
            dataclasses with such attributes, or a union with None. A float may be written as "NaN", "Infinity" or
            "-Infinity". What has another annotation is returned as it is.
        value: as the reader of JSON returned it.

    Raises:
        WrongValue: it has another type, a text is too long, a number too large, or a part of a record is missing or
            unknown.
    """
    return reader_of(kind)(value)


def entry(record: Mapping[str, Any], name: str, kind: Any, default: Any = _REQUIRED) -> Any:
    """Return the entry `name` of a JSON object as `read_as` does; `default` if it is missing and may be."""
    if name not in record:
        if default is _REQUIRED:
            raise WrongValue(f"has no entry {name!r}; expected one")
        return default
    try:  # as `below` does, which takes longer
        return reader_of(kind)(record[name])
    except WrongValue as error:
        raise error.below(name) from None


def below(part: str | int, read: Reader, value: Any) -> Any:
    """Read a part of a value; an error says in which part it happened."""
    try:
        return read(value)
    except WrongValue as error:
        raise error.below(part) from None


@functools.cache
def reader_of(kind: Any) -> Reader:
    """Return the function that makes an annotated type from a JSON value, as `read_as` does."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    parts, origin = get_args(kind), get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union(parts)
    if origin is tuple:
        return _sequence(parts)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(reader_of(parts[1]))
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    return lambda value: value


def shown(value: object) -> str:
    """Return what a value is, in a few words, however large it is."""
    if isinstance(value, str):
        return f"the text {_short(value)!r}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {', '.join(_short(str(each), 20) for each in list(value)[:3]) or 'nothing in it'}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_WHOLE:
        return "a whole number that 64 bits do not hold"  # to spell one of many digits is an error of its own
    if value is None or isinstance(value, bool):
        return "null" if value is None else "true" if value else "false"
    return _short(str(value))


def spelled(value: object) -> str:
    """Return a value as Python spells it, cut short where it is long."""
    return _SPELLING.repr(value)


def _short(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong(value, "a text")
    if len(value) > LONGEST_TEXT:
        raise WrongValue(f"has {len(value):,} characters; expected at most {LONGEST_TEXT:,}")
    return value


def _whole(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)  # some whole numbers are stored as floats
    if type(value) is not int or abs(value) > LARGEST_WHOLE:
        raise wrong(value, "a whole number that 64 bits hold")
    return value


def _number(value: Any) -> float:
    """Return a number; one that is written without a point stays so, and is stored as the same bytes again."""
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, str) and value in _NAMED_NUMBERS:
        return _NAMED_NUMBERS[value]
    if type(value) is not int or abs(value) > LARGEST_WHOLE:
        raise wrong(value, "a number")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise wrong(value, "true or false")
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise wrong(value, "null")


def _anything(value: Any, depth: int = 0) -> Any:
    """Check JSON of any kind, which may not be nested without end."""
    if depth > DEEPEST:
        raise WrongValue(f"is nested more than {DEEPEST} deep; expected less")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _whole(value)
    parts = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for part, each in parts:
        below(part, lambda inner: _anything(inner, depth + 1), each)
    return value


def _union(parts: tuple[Any, ...]) -> Reader:
    """Read one of several types: the others of them are told apart by the types of JSON, so the last error tells."""
    readers = [reader_of(each) for each in parts if each is not types.NoneType]
    may_be_none = types.NoneType in parts

    def read(value: Any) -> Any:
        if value is None and may_be_none:
            return None
        for each in readers[:-1]:
            try:
                return each(value)
            except WrongValue:
                continue
        return readers[-1](value)

    return read


def _sequence(parts: tuple[Any, ...]) -> Reader:
    """Read a list of one type and any length, or of as many types as it has entries."""
    if len(parts) == 2 and parts[1] is Ellipsis:
        each, are_right = reader_of(parts[0]), _AT_ONCE.get(parts[0], _never)

        def read_all(value: Any) -> tuple[Any, ...]:
            values = _list(value)
            if not values or are_right(values):
                return tuple(values)  # the usual case of many values, and much faster
            return tuple(_each(enumerate(values), each).values())

        return read_all
    readers = [reader_of(part) for part in parts]

    def read(value: Any) -> tuple[Any, ...]:
        values = _list(value)
        if len(values) != len(readers):
            raise wrong(value, f"a list of {len(readers)}")
        return tuple(below(place, *pair) for place, pair in enumerate(zip(readers, values, strict=True)))

    return read


def _never(values: list[Any]) -> bool:
    return False


def _are_texts(values: list[Any], types_of: frozenset[type] = frozenset({str})) -> bool:
    return types_of >= set(map(type, values)) and max(len(each or "") for each in values) <= LONGEST_TEXT


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(value, "a list")
    return value


def _each(parts: Iterable[tuple[Any, Any]], read: Reader) -> dict[Any, Any]:
    """Read every part. Like `below` for each of them, but several times as fast."""
    found = {}
    for part, each in parts:
        try:
            found[part] = read(each)
        except WrongValue as error:
            raise error.below(part) from None
    return found


def _mapping(read: Reader) -> Reader:
    def read_all(value: Any) -> dict[str, Any]:
        given = _object(value)
        for name in given:
            _text(name)
        return _each(given.items(), read)

    return read_all


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(value, "an object")
    return value


def _named_tuple(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = [reader_of(hints[name]) for name in kind._fields]
    least = len(readers) - len(kind._field_defaults)

    def read(value: Any) -> Any:
        values = _list(value)
        if not least <= len(values) <= len(readers):
            raise wrong(value, f"a list of {' or '.join(map(str, sorted({least, len(readers)})))}")
        return kind(*(below(place, *pair) for place, pair in enumerate(zip(readers, values, strict=False))))

    return read


def _record(kind: Any) -> Reader:
    """Read a dataclass by its attributes; those without a default have to be there."""
    hints = get_type_hints(kind)
    attributes = [each for each in dataclasses.fields(kind) if each.init]
    readers = {each.name: reader_of(hints[each.name]) for each in attributes}
    needed = {each.name for each in attributes if _has_no_default(each)}

    def read(value: Any) -> Any:
        given = _object(value)
        if not needed <= given.keys() <= readers.keys():
            raise _other_entries(given, needed, readers)
        made = {}
        for name, each in given.items():
            try:
                made[name] = readers[name](each)
            except WrongValue as error:
                raise error.below(name) from None
        return kind(**made)

    return read


def _other_entries(given: Collection[str], needed: Collection[str], known: Collection[str]) -> WrongValue:
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        return WrongValue(f"has the entry {_short(unknown)!r}; expected none but {', '.join(known)}")
    missing = next(name for name in needed if name not in given)
    return WrongValue(f"has no entry {missing!r}; expected one")


def _has_no_default(attribute: dataclasses.Field[Any]) -> bool:
    return attribute.default is dataclasses.MISSING and attribute.default_factory is dataclasses.MISSING


_PLAIN: Mapping[Any, Reader] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _flag,
    types.NoneType: _nothing,
    Any: _anything,
}
# Whether all values of a list have a type, and need no look at each of them.
_AT_ONCE: Mapping[Any, Callable[[list[Any]], bool]] = {
    str: _are_texts,
    str | None: lambda values: _are_texts(values, frozenset({str, types.NoneType})),
    bool: lambda values: set(map(type, values)) == {bool},
    int: lambda values: set(map(type, values)) == {int} and max(map(abs, values)) <= LARGEST_WHOLE,
    float: lambda values: set(map(type, values)) == {float} and all(map(math.isfinite, values)),
}
