"""What anybody may do to a JSON document, an array or a text: strategies for Hypothesis."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

# How many examples a fuzz target tries: few by default, as many as the profile says if it is another one.
USUAL = 100
Place = tuple[str | int, ...]


def quick(count: int) -> settings:
    """Return settings of so many examples, or of those of a profile such as `fuzz`."""
    chosen = settings.default.max_examples if settings.default is not None else USUAL
    return settings(max_examples=count if chosen == USUAL else chosen)


def _nested(depth: int) -> Any:
    value: Any = 0
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


_ODD = st.sampled_from(
    [None, True, False, "", [], {}, 0, -1, 7, 10**6, 2**40, 2**70, 10**400, 0.5, -1e300, 5e-324, "NaN", "Infinity"]
)
_TEXTS = st.sampled_from(["\ud800", "a\0b", "../../x", "\u202e", "x" * 200_000, "0", "true", "1e999"])
_NESTED = st.sampled_from([20, 40, 300]).map(_nested)
ANY_JSON = st.one_of(
    _ODD,
    _TEXTS,
    _NESTED,
    st.just(float("nan")),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
        max_leaves=4,
    ),
)
_ACTS = ("replace", "replace", "replace", "delete", "rename", "repeat", "nest", "empty", "swap")


@dataclass(frozen=True)
class Mutation:
    """One change of a JSON document.

    Attributes:
        act: what was done.
        place: where.
        document: what came of it.
    """

    act: str
    place: Place
    document: Any

    def __repr__(self) -> str:
        found = self.document
        for step in self.place:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                found = "(gone)"
                break
        return f"{self.act} {self.place}: {reprlib.repr(found)}"


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """Yield the place of every value inside a JSON value."""
    parts = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, Mapping) else ()
    for part, each in parts:
        yield (*above, part)
        yield from places(each, (*above, part))


@st.composite
def mutations(draw: Any, document: Any) -> Mutation:
    """Change one value of a document, at any place, in any way."""
    found = copy.deepcopy(document)
    place = draw(st.sampled_from(list(places(found)) or [()]))
    if not place:
        return Mutation("replace", (), draw(ANY_JSON))
    act = draw(st.sampled_from(_ACTS))
    holder = found
    for step in place[:-1]:
        holder = holder[step]
    _DONE[act](holder, place[-1], draw)
    return Mutation(act, place, found)


def _replace(holder: Any, key: Any, draw: Any) -> None:
    holder[key] = draw(ANY_JSON)


def _delete(holder: Any, key: Any, draw: Any) -> None:
    del holder[key]


def _rename(holder: Any, key: Any, draw: Any) -> None:
    if isinstance(holder, dict):
        holder[draw(st.sampled_from([f"{key}x", "", key.upper(), f"{key}\u0301"]))] = holder.pop(key)
    else:
        holder.reverse()


def _repeat(holder: Any, key: Any, draw: Any) -> None:
    if isinstance(holder, dict):
        holder[f"{key} again"] = copy.deepcopy(holder[key])
    else:
        holder.append(copy.deepcopy(holder[key]))


def _nest(holder: Any, key: Any, draw: Any) -> None:
    holder[key] = draw(st.sampled_from([[holder[key]], {"value": holder[key]}]))


def _empty(holder: Any, key: Any, draw: Any) -> None:
    holder[key] = type(holder[key])() if holder[key] is not None else []


def _swap(holder: Any, key: Any, draw: Any) -> None:
    other = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[key], holder[other] = holder[other], holder[key]


_DONE: Mapping[str, Callable[[Any, Any, Any], None]] = {
    "replace": _replace,
    "delete": _delete,
    "rename": _rename,
    "repeat": _repeat,
    "nest": _nest,
    "empty": _empty,
    "swap": _swap,
}

_DTYPES = ("bool", "uint8", "int8", "int64", "uint64", "float16", "float32", "float64")
_ARRAY_ACTS: Mapping[str, Callable[[Any], Any]] = {
    "flat": lambda array: array.reshape(-1),
    "one axis more": lambda array: array[None],
    "turned": lambda array: array.T,
    "cropped": lambda array: array[: max(len(array) - 1, 0)] if array.ndim else array,
    "nothing": lambda array: array[:0] if array.ndim else array,
    "zeros": np.zeros_like,
    "the largest": lambda array: np.full_like(array, np.iinfo(array.dtype).max if array.dtype.kind in "iu" else 1),
    "not a number": lambda array: np.full(array.shape, np.nan, np.float32),
    "infinite": lambda array: np.full(array.shape, np.inf, np.float64),
    "negative": lambda array: np.full(array.shape, -1, np.int64),
    "of no size": lambda array: np.zeros((0, 10**6), np.float32),
    "one number": lambda array: np.float32(1.0) * np.ones((), np.float32),
}


@st.composite
def array_mutations(draw: Any, arrays: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Change one array in any way; return what was done, to which array, and all arrays."""
    found, name = dict(arrays), draw(st.sampled_from(sorted(arrays)))
    act = draw(st.sampled_from(["delete", "add", "rename", "type", *_ARRAY_ACTS]))
    if act == "delete":
        del found[name]
    elif act == "add":
        found[draw(st.sampled_from(["more", f"{name}.more", f"x.{name}", ""]))] = found[name]
    elif act == "rename":
        found[f"{name}x"] = found.pop(name)
    elif act == "type":
        with np.errstate(all="ignore"):
            found[name] = found[name].astype(draw(st.sampled_from(_DTYPES)))
    else:
        found[name] = np.asarray(_ARRAY_ACTS[act](found[name]))
    return act, name, found


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """Cut, repeat, replace or insert some bytes of a file."""
    at = st.integers(0, len(content))
    return st.one_of(
        st.builds(_between, st.just(content), at, at, st.binary(max_size=8)),
        st.builds(_over, st.just(content), at, st.binary(min_size=1, max_size=4)),
        st.binary(max_size=64),
    )


def _between(content: bytes, first: int, second: int, other: bytes) -> bytes:
    return content[: min(first, second)] + other + content[max(first, second) :]


def _over(content: bytes, start: int, other: bytes) -> bytes:
    return content[:start] + other + content[start + len(other) :]
