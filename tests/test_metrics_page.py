"""The page on metrics names every term that the glossary knows, and says of each which way is better."""

import re

from pages import DOCS

from xai_eval.result.glossary import all_terms

ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)


def rows():
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    cells = [re.split(r" (?<!\\)\| ", row.replace("| |", "|  |")) for row in ROW.findall(text)]
    return [each for each in cells if each[0] not in ("measure",)]


def test_every_term_of_the_glossary_has_one_row_and_the_right_direction():
    found = [row[0] for row in rows()]
    assert sorted(found) == sorted(set(found)), "a measure has one row"
    terms = {each.words: each.arrow or "–" for each in all_terms()}
    missing = set(terms) - set(found)
    assert missing == set(), "describe these in docs/metrics.md"
    assert set(found) - set(terms) == set(), "these are no terms of the glossary"
    assert {row[0]: row[4] for row in rows()} == terms


def test_every_row_is_complete():
    assert {row[0]: len(row) for row in rows() if len(row) != 6} == {}
