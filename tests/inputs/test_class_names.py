"""Names of classes in any container and with any characters."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.errors import UsageError
from xai_eval.inputs.models.class_names import listed_names, named_classes

ABC = ("a", "b", "c")


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c"],
        ("a", "b", "c"),
        np.array(["a", "b", "c"]),
        np.array(["a", "b", "c"], dtype=object),
        pd.Series(["a", "b", "c"], index=[5, 6, 7]),
        {0: "a", 1: "b", 2: "c"},
        {"2": "c", "0": "a", "1": "b"},
    ],
    ids=lambda each: type(each).__name__,
)
def test_every_container_with_an_order_is_read(names: object) -> None:
    assert named_classes(names, 3) == ABC


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", "is the text 'abc'; expected a list or tuple of names"),
        (b"abc", "is a bytes; expected"),
        ({"a", "b", "c"}, "is a set; expected"),
        (3, "is a int; expected"),
        ([["a"], ["b"], ["c"]], "is a list of a list; expected"),
        (["a", "b"], "a list with 2 names; expected a list or tuple of 3"),
        ({1: "a", 2: "b", 3: "c"}, "a mapping with the key '3'; expected the keys 0 to 2"),
        ({"a": 0, "b": 1, "c": 2}, "a mapping with the key 'a'; expected the keys 0 to 2"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(names: object, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        named_classes(names, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nan", "nan"),
        ("日本語", "日本語"),
        ("</script>", "</script>"),
        (7, "7"),
        ("a|b\nc", "a|b\\nc"),
        ("\x1b[31mred\x00", "\\x1b[31mred\\x00"),
        ("\u202erev", "\\u202erev"),
        ("caf\udce9", "caf\\udce9"),
        ("", "class 0"),
        ("  ", "class 0"),
        (None, "class 0"),
    ],
)
def test_what_cannot_be_shown_is_written_as_an_escape(name: object, shown: str) -> None:
    assert listed_names([name]) == (shown,)


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec=None)), min_size=1, max_size=5))
def test_every_text_becomes_one_that_any_page_and_terminal_can_show(names: list[str]) -> None:
    shown = named_classes(names, len(names))
    assert all(each and each.isprintable() and each.encode("utf-8") for each in shown)
    assert listed_names(shown) == shown
