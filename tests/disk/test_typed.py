"""JSON becomes a value of the declared type, or an error that names the place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.disk.bounds import DEEPEST, LARGEST_WHOLE, LONGEST_TEXT
from xai_eval.disk.typed import WrongValue, entry, read_as, shown


class Range(NamedTuple):
    low: float
    high: float = 1.0


@dataclass(frozen=True)
class Leaf:
    name: str
    size: tuple[int, int]
    share: float | None = None


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    by_name: Mapping[str, float]
    ranges: tuple[Range, ...] = ()
    free: Mapping[str, Any] = field(default_factory=dict)
    ripe: bool = False


WHOLE = {
    "leaves": [{"name": "a", "size": [1, 2], "share": 0.5}, {"name": "b", "size": [3.0, 4]}],
    "by_name": {"a": 1, "b": "NaN"},
    "ranges": [[0.5], [1, 2.5]],
    "free": {"x": [1, {"y": None}]},
    "ripe": True,
}
# What JSON may hold, and the types that it may be read as.
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
KINDS = (str, int, float, bool, str | None, tuple[str, ...], tuple[float | None, ...], Mapping[str, int], Leaf, Tree)


def test_a_document_becomes_records():
    found = read_as(Tree, WHOLE)
    assert found.leaves == (Leaf("a", (1, 2), 0.5), Leaf("b", (3, 4)))
    assert found.by_name["a"] == 1 and math.isnan(found.by_name["b"])
    assert found.ranges == (Range(0.5), Range(1, 2.5))
    assert (found.free, found.ripe) == ({"x": [1, {"y": None}]}, True)


@pytest.mark.parametrize(
    "place, value, said",
    [
        (("leaves", 1, "name"), 7, "leaves[1].name is 7; expected a text"),
        (("leaves", 0, "size", 1), "x", "leaves[0].size[1] is the text 'x'; expected a whole number that 64 bits hold"),
        (("leaves", 0, "size"), [1], "leaves[0].size is a list of 1; expected a list of 2"),
        (("leaves", 0, "size", 0), True, "leaves[0].size[0] is true"),
        (("leaves", 0, "size", 0), 2.5, "leaves[0].size[0] is 2.5"),
        (("leaves", 0, "size", 0), LARGEST_WHOLE + 1, "leaves[0].size[0] is a whole number that 64 bits do not hold"),
        (("leaves", 0, "share"), "0.5", "leaves[0].share is the text '0.5'; expected a number"),
        (("leaves", 0), None, "leaves[0] is null; expected an object"),
        (("leaves", 0, "more"), 1, "leaves[0] has the entry 'more'; expected none but name, size, share"),
        (("leaves",), {}, "leaves is an object with nothing in it; expected a list"),
        (("by_name", "a"), [1, 2], "by_name.a is a list of 2; expected a number"),
        (("ranges", 0), [1, 2, 3], "ranges[0] is a list of 3; expected a list of 1 or 2"),
        (("ripe",), 1, "ripe is 1; expected true or false"),
        (("free", "x"), "a" * (LONGEST_TEXT + 1), f"free.x has {LONGEST_TEXT + 1:,} characters"),
    ],
)
def test_another_type_is_named_with_its_place(place, value, said):
    document = json.loads(json.dumps(WHOLE))
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    with pytest.raises(WrongValue) as error:
        read_as(Tree, document)
    assert str(error.value).startswith(said)


def test_what_is_missing_or_too_deep_is_named():
    with pytest.raises(WrongValue, match="the document has no entry 'by_name'"):
        read_as(Tree, {"leaves": []})
    deep: Any = 1
    for _ in range(DEEPEST + 1):
        deep = [deep]
    with pytest.raises(WrongValue, match=f"nested more than {DEEPEST} deep"):
        read_as(Tree, {**WHOLE, "free": {"x": deep}})
    assert entry({}, "x", int, 3) == 3


@given(JSON, st.sampled_from(KINDS))
def test_whatever_json_holds_has_the_type_afterwards_or_is_refused(value, kind):
    try:
        found = read_as(kind, value)
    except WrongValue as error:
        assert len(str(error)) < 1_000
        return
    plain = {str: str, int: int, bool: bool}
    if kind in plain:
        assert type(found) is plain[kind]
    elif kind is float:
        assert type(found) in (int, float)
    elif kind == tuple[str, ...]:
        assert type(found) is tuple and all(type(each) is str for each in found)


@given(JSON)
def test_a_value_of_any_size_is_shown_in_few_words(value):
    assert len(shown([value, {"a": value}])) < 200 and len(shown(value)) < 200
