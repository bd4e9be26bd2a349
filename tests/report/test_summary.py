from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

from xai_eval.gate.unwatched import Unwatched
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.commands import Folders
from xai_eval.report.text.summary import count_severities, counts_sentence, explain_line, summary_lines, worst_first
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case
from xai_eval.store.quarantine import Quarantine


def verdict(name, state, severity=None, reason="because."):
    findings = (Finding("gradcam", severity, "rank", "rank 0.1"),) if severity else ()
    return Verdict(Case("cams", "scenes:objects", f"scenes/{name}"), state, findings, reason=reason)


def test_worst_comes_first():
    verdicts = [
        verdict("a", State.OK),
        verdict("b", State.UNUSED),
        verdict("c", State.DRIFT, Severity.NUMBERS),
        verdict("d", State.MISSING),
        verdict("e", State.DRIFT, Severity.CONCLUSION),
        verdict("f", State.INCOMPARABLE),
        verdict("g", State.DRIFT, Severity.EVIDENCE),
        verdict("h", State.ERROR),
    ]
    assert [v.case.input[-1] for v in worst_first(verdicts)] == list("hegcfdba")


def test_a_line_says_state_severity_case_and_why():
    drift = verdict("flamingo", State.DRIFT, Severity.CONCLUSION)
    line, counts = summary_lines([drift])
    assert line.startswith(f"drift  conclusion  {drift.case.key}  Grad-CAM changed (conclusion): rank 0.1.")
    assert counts == "1 case: 1 drift"


def test_all_that_is_ok_takes_one_line():
    lines = summary_lines([verdict(str(i), State.OK) for i in range(11)] + [verdict("x", State.MISSING)])
    assert len(lines) == 3
    assert lines[0].split() == ["ok", "11", "cases"]
    assert lines[1].startswith("NEW: 1 case has no golden (cams/scenes-x-")
    assert lines[2] == "12 cases: 11 ok, 1 new"


FOLDERS = Folders(Path("reports"), Path("golden"))


def test_a_first_run_is_one_line_with_one_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = 'xai-eval accept --all --bulk --reason "first goldens"'
    told = f"NEW: 60 cases have no golden. Look at reports/index.html, then: {command}"
    assert summary_lines([verdict(str(i), State.MISSING) for i in range(60)], where=FOLDERS) == [
        told,
        "60 cases: 60 new",
    ]
    few = summary_lines([verdict("a", State.MISSING)], where=Folders(Path("out"), Path("kept")))
    command = 'xai-eval accept --all --results out --golden kept --reason "first goldens"'
    assert few[0] == f"NEW: 1 case has no golden. Look at out/index.html, then: {command}"


def test_new_cases_among_others_are_one_line_and_nothing_else_is_accepted_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new, drift = [verdict(str(i), State.MISSING) for i in range(9)], verdict("d", State.DRIFT, Severity.NUMBERS)
    line = summary_lines([*new, drift], where=FOLDERS)[1]
    assert line.startswith(f"NEW: 9 cases have no golden ({new[0].case.key}, ") and " and 4 more). Look at" in line
    assert "--all" not in line
    line = summary_lines([*new[:2], drift], where=FOLDERS)[1]
    assert line.endswith(f'xai-eval accept {new[0].case.key} {new[1].case.key} --reason "first goldens"')


def test_a_new_case_in_quarantine_has_a_line_of_its_own():
    aside = Quarantine("Mira", "later", datetime.date(2999, 1, 1))
    lines = summary_lines([dataclasses.replace(verdict("a", State.MISSING), quarantine=aside)])
    assert lines[0].startswith("new  -  cams/scenes-a-")


COLUMN, STAGE = Unwatched("column", "sparsity", "table"), Unwatched("stage", "view")


def unwatched(name, *parts, state=State.OK):
    return dataclasses.replace(verdict(name, state), unwatched=parts)


def test_what_is_unwatched_is_named_counted_and_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verdicts = [unwatched("a", COLUMN), unwatched("b", COLUMN, STAGE), verdict("c", State.OK)]
    lines = summary_lines(verdicts, where=FOLDERS)
    assert lines[1] == (
        "unwatched  2 goldens lack what the run obtained, so nothing watches it: column sparsity of table (2), "
        'stage view (1). This fails no case. To have it watched: xai-eval accept --all --reason "watch what was added"'
    )
    assert lines[2] == "3 cases: 3 ok"
    assert summary_lines(verdicts)[1].endswith("This fails no case.")


def test_where_something_drifted_nobody_is_told_to_accept_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drift = verdict("d", State.DRIFT, Severity.NUMBERS)
    line = summary_lines([unwatched("a", COLUMN), drift], where=FOLDERS)[2]
    assert line.endswith(f'accept {unwatched("a").case.key} --reason "watch what was added"')
    line = summary_lines([*(unwatched(str(i), STAGE) for i in range(9)), drift], where=FOLDERS)[2]
    assert line.endswith("accept these cases by their names, or all once the others are settled.")


def test_the_worst_drift_comes_with_the_command_that_explains_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = [verdict("a", State.ERROR), verdict("b", State.DRIFT, Severity.NUMBERS)]
    worst = verdict("c", State.DRIFT, Severity.CONCLUSION)
    (line,) = explain_line([*told, worst], {"cams": {}}, Path("reports"), Path("golden"))
    assert line == f"find the cause of the worst drift: xai-eval explain-drift {worst.case.key}"
    (filled,) = explain_line([*told, worst], {}, Path("out"), Path("golden"))
    assert filled.startswith("find the cause of the worst drift, with ")
    assert filled.endswith(
        f": xai-eval explain-drift {worst.case.key} --results out --model scenes:objects --images IMAGES"
    )
    assert explain_line(told[:1], {"cams": {}}, Path("reports"), Path("golden")) == []


def test_columns_are_aligned():
    lines = summary_lines([verdict("a", State.INCOMPARABLE), verdict("b", State.DRIFT, Severity.EVIDENCE)])
    assert lines[0].index("cams/") == lines[1].index("cams/")


def test_nothing_measured_is_said():
    assert summary_lines([]) == ["no cases"]


def test_control_characters_of_a_class_name_do_not_reach_the_terminal():
    line = summary_lines([verdict("a", State.ERROR, reason="class \x1b[2J\nflamingo")])[0]
    assert "\x1b" not in line
    assert "\n" not in line
    assert line.endswith(r"class \x1b[2J flamingo")


def test_severities_are_counted_worst_first():
    drifts = [
        verdict(str(i), State.DRIFT, s) for i, s in enumerate([Severity.NUMBERS, Severity.EVIDENCE, Severity.NUMBERS])
    ]
    assert list(count_severities(drifts).items()) == [(Severity.EVIDENCE, 1), (Severity.NUMBERS, 2)]
    assert counts_sentence(drifts) == "3 cases: 3 drift"
