"""One reader of JSON: what it takes is what the standard library reads, and nothing is named twice."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.disk.strict_json import alike, parse_json, require_distinct

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abcABC"), inner),
    max_leaves=20,
)


@given(VALUES)
def test_whatever_json_holds_is_read_as_the_standard_library_reads_it(value):
    text = json.dumps(value)
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


@given(st.text(min_size=1), VALUES, VALUES, st.lists(st.text(), max_size=3), st.integers(0, 3))
def test_an_entry_that_is_named_twice_is_refused_wherever_it_stands(name, first, second, others, depth):
    entries = [(name, first), *((other, 0) for other in dict.fromkeys(others) if other != name), (name, second)]
    text = "{" + ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entries) + "}"
    for _ in range(depth):
        text = f'{{"outer": [{text}]}}'
    with pytest.raises(ValueError, match="twice"):
        parse_json(text)


def test_the_marks_of_a_merge_are_told_with_what_to_do():
    with pytest.raises(ValueError, match="git checkout --ours or --theirs"):
        parse_json('{\n<<<<<<< HEAD\n "a": 1\n=======\n "a": 2\n>>>>>>> other\n}')


@pytest.mark.parametrize("word", ["clé", "Ångström", "ñandú"])
def test_one_word_in_two_spellings_is_one_name(word):
    composed, decomposed = (unicodedata.normalize(form, word) for form in ("NFC", "NFD"))
    with pytest.raises(ValueError, match="twice"):
        parse_json(json.dumps({composed: 1, decomposed: 2}))
    assert alike([composed, "other", decomposed]) == (composed, decomposed)


def test_classes_that_differ_in_capitals_are_two_entries_but_one_name_of_a_field():
    assert parse_json('{"Cardigan": 1, "cardigan": 2}') == {"Cardigan": 1, "cardigan": 2}
    with pytest.raises(ValueError, match="two fields have one name: 'Cardigan' and 'cardigan'"):
        require_distinct("fields", ["Cardigan", "cardigan"])


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "[Infinity]", "-Infinity", "[" * 100_000, b"\xff\xfe\x00"])
def test_what_is_not_json_is_refused(text):
    with pytest.raises(ValueError):
        parse_json(text)
