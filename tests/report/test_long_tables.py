"""A table of many rows is written in parts as it would be written at once, whatever columns its cases have."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.gate.verdict import State, Verdict
from xai_eval.media.json_text import json_parts, json_text
from xai_eval.report.cases import ReportCase
from xai_eval.report.text import long_tables, table_files
from xai_eval.report.text.long_tables import csv, csv_parts, shapes_of
from xai_eval.report.text.table_files import field_frame
from xai_eval.result.fields import Table
from xai_eval.result.result import Case, Result

# Columns keep their type, as those of a task do; each case may lack some.
COLUMNS = {
    "flag": [True, False],
    "number": [1, 2],
    "share": [0.5, float("nan")],
    "text": ["=1+1", 'a"b, c'],
}


def case_of(place, model, names):
    frame = pd.DataFrame({"method": ["gradcam", "lime"], **{name: COLUMNS[name] for name in names}})
    case = Case("cams", model, f"set/{place}.jpg")
    result = Result(case, {"table": Table(frame, {})} if names is not None else {})
    return ReportCase(Verdict(case, State.OK), result, None)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sets(st.sampled_from([*COLUMNS]))), min_size=1, max_size=9)
)
def test_parts_are_what_is_written_at_once(kinds):
    cases = [case_of(place, model, sorted(names)) for place, (model, names) in enumerate(kinds)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_tables, "_CASES", 2)
        parts = b"".join(csv_parts(cases, "table", shapes_of(cases)["table"]))
    assert parts.decode() == csv(field_frame(cases, "table"))


def test_a_long_table_is_csv_alone(monkeypatch):
    cases = [case_of(place, "net", ["share"]) for place in range(5)]
    usual = {name: b"".join(parts) for name, parts in table_files.table_files(cases).items()}
    monkeypatch.setattr(long_tables, "MOST_ROWS", 9)
    monkeypatch.setattr(table_files, "MOST_ROWS", 9)
    monkeypatch.setattr(table_files, "_CASES_AT_ONCE", 2)
    found = {name: b"".join(parts) for name, parts in table_files.table_files(cases).items()}
    assert usual.keys() - found.keys() == {"cams_table.md", "cams_table.tex"}
    assert found.items() <= usual.items()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("a\n</:#é\u202e", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25)
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.lists(JSON, max_size=4))
def test_json_in_parts_is_json_at_once(document, items):
    whole = {**document, "verdicts": items, "files": []}
    assert "".join(json_parts({**whole, "verdicts": iter(items)})) == json_text(whole)
    assert json.loads("".join(json_parts(document))) == document
