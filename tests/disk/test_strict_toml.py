"""TOML is read as the standard library reads it, within bounds."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.disk.strict_toml import MOST_NAMES, MOST_TOML_BYTES, parse_toml

WHOLE = """
golden = "a.b.c.d.e.f.g"  # a.b.c
images = ["a.png", "b.png", 'c.d', \"\"\"x\"\"\"]
[tolerances.cams."gradcam".x]
a.b.'c.d'."e" = 0.5
[[suite]]
task = "cams"
"""


def test_a_configuration_is_read_as_it_stands():
    assert parse_toml(WHOLE) == parse_toml(WHOLE.encode()) == tomllib.loads(WHOLE)
    assert parse_toml(b"\xef\xbb\xbfa = 1") == {"a": 1}


def test_as_many_names_as_are_allowed():
    assert parse_toml("a." * (MOST_NAMES - 1) + "a = 1")


@pytest.mark.parametrize(
    "text, said",
    [
        ("a." * MOST_NAMES + "a = 1", "in line 1, more than 12 names are joined by dots"),
        ("\n" + "a . \t" * 5_000 + "a = 1", "in line 2, more than 12 names"),
        ("\n\n[" + '"a".' * 5_000 + "a]", "in line 3, more than 12 names"),
        ("x = {" + "'a'." * 5_000 + "a = 1}", "more than 12 names"),
        ("x = " + "[" * 5_000, "nested too deeply"),
        ("x = " + "{a = " * 5_000, "nested too deeply"),
        ("x = " + "[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("x = 0x" + "f" * 20_000, "x is a whole number that 64 bits do not hold"),
        ("x = " + "9" * 20_000, "digits"),
        ("[x]\ny = '" + "z" * 150_000 + "'", "x.y has 150,000 characters"),
        (" " * (MOST_TOML_BYTES + 1), "larger than 256 KiB"),
        ("a = 1\na = 2", "Cannot overwrite"),
        (b"a = '\xff'", "not in UTF-8"),
        ("a = 1 b", "Expected newline"),
    ],
)
def test_what_is_too_much_or_no_toml_is_one_error(text, said):
    with pytest.raises(ValueError, match=said):
        parse_toml(text)


@given(st.text(alphabet="ab.\"'\\=[]{} \n#0x,", max_size=60))
def test_any_text_is_read_as_the_standard_library_reads_it_or_refused(text):
    try:
        found = parse_toml(text)
    except ValueError:
        return
    assert found == tomllib.loads(text)
