from __future__ import annotations

import re

import pandas as pd
import pytest

from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import collect
from xai_eval.report.text.table_files import field_frame, markdown, summary_frame
from xai_eval.result.fields import Score


def cases_of(*results):
    obtained = {result.case.key: result for result in results}
    return collect(obtained, {}, judge_all(obtained, {}), {})


def test_the_summary_has_one_row_a_case(run):
    frame = pd.read_csv(run.folder / "tables" / "cams_summary.csv").set_index("input")
    assert sorted(frame.index) == sorted(verdict.case.input for verdict in run.verdicts)
    assert frame.loc["birds/moved.JPEG", ["predicted", "predicted_index", "state", "severity"]].tolist() == [
        "flamingo", 130, "drift", "evidence",
    ]  # fmt: skip
    assert frame.loc["birds/surer.JPEG", "top_probability"] == pytest.approx(0.95)
    assert frame.loc["birds/gone.JPEG", "state"] == "unused"
    assert pd.isna(frame.loc["birds/gone.JPEG", "predicted"])
    assert frame.loc["birds/same.JPEG", "audit"].startswith("intended kite")


def test_hostile_class_names_survive_the_csv(run, build):
    frame = pd.read_csv(run.folder / "tables" / "cams_summary.csv").set_index("input")
    assert frame.loc["birds/renamed.JPEG", "predicted"] == build.HOSTILE


def test_class_indices_stay_whole_numbers_where_some_are_missing(run):
    text = (run.folder / "tables" / "cams_summary.csv").read_text()
    assert ",130," in text
    assert "130.0" not in text


def test_a_table_field_reads_back_as_it_was(run):
    frame = pd.read_csv(run.folder / "tables" / "cams_table.csv")
    assert list(frame.columns) == ["input", "method", "map", "pointing_hit", "energy_inside"]
    assert len(frame) == 3 * len(run.results)
    own = frame[frame["input"] == "birds/moved.JPEG"].drop(columns="input").reset_index(drop=True)
    expected = next(r for r in run.results.values() if r.case.input == "birds/moved.JPEG")["table"].frame
    pd.testing.assert_frame_equal(own, expected, check_dtype=False, check_exact=True)


def test_a_model_column_appears_where_there_are_several(build):
    one, two = build.result(), build.result(model="torchvision:resnet50")
    assert "model" not in field_frame(cases_of(one), "table").columns
    frame = field_frame(cases_of(one, two), "table")
    assert list(frame.columns[:2]) == ["input", "model"]
    assert frame["model"].value_counts().to_dict() == {"scenes:objects": 3, "torchvision:resnet50": 3}


def test_scores_have_a_column_and_the_outcome_stays_last(build):
    frame = summary_frame(cases_of(build.result(), build.result("b.JPEG", silhouette_index=Score(0.75, 0.01))))
    assert list(frame.columns[-3:]) == ["state", "severity", "audit"]
    assert sorted(frame["silhouette_index"].dropna()) == [0.75]


def test_markdown_keeps_its_columns_whatever_a_name_holds(build):
    frame = pd.DataFrame({"input": ["a|b\nc", build.HOSTILE], "value": [1 / 3, None], "hit": [True, False]})
    lines = markdown(frame).splitlines()
    assert lines[1] == "| --- | ---: | --- |"
    assert len(lines) == 4
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == 4
    assert lines[2] == "| a\\|b c | 0.3333 | yes |"
    assert lines[3].endswith("| – | no |")
    assert "\\<script\\>" in lines[3]
    assert not re.search(r"(?<!\\)[<>`]", lines[3])


def test_markdown_files_have_the_rows_of_the_csv(run):
    for path in (run.folder / "tables").glob("*.csv"):
        assert len(path.with_suffix(".md").read_text().splitlines()) == len(pd.read_csv(path)) + 2


def test_a_damaged_golden_has_its_row(build):
    verdict = Verdict(build.result().case, State.ERROR, reason="truncated")
    frame = summary_frame(collect({}, {}, [verdict], {}))
    assert frame["state"].tolist() == ["error"]
