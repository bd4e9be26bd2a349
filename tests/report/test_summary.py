from __future__ import annotations

from pathlib import Path

from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.summary import (
    accept_line,
    count_severities,
    counts_sentence,
    explain_line,
    summary_lines,
    worst_first,
)
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case


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
    assert line.startswith(f"drift  conclusion  {drift.case.key}  conclusion changed: gradcam: rank 0.1.")
    assert counts == "1 case: 1 drift"


def test_all_that_is_ok_takes_one_line():
    lines = summary_lines([verdict(str(i), State.OK) for i in range(11)] + [verdict("x", State.MISSING)])
    assert len(lines) == 3
    assert lines[0].split() == ["new", "-", *lines[0].split()[2:]]
    assert lines[1].split() == ["ok", "11", "cases"]
    assert lines[2] == "12 cases: 11 ok, 1 new"


def test_the_worst_drift_comes_with_the_command_that_explains_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = [verdict("a", State.ERROR), verdict("b", State.DRIFT, Severity.NUMBERS)]
    worst = verdict("c", State.DRIFT, Severity.CONCLUSION)
    (line,) = explain_line([*told, worst], ["cams"], Path("reports"), Path("golden"))
    assert line == f"find the cause of the worst drift: xai-eval explain-drift {worst.case.key}"
    assert explain_line([*told, worst], [], Path("out"), Path("golden")) == [
        f'{line} --results out --model "..." --images "..."'
    ]
    assert explain_line(told[:1], ["cams"], Path("reports"), Path("golden")) == []


def test_many_new_cases_take_one_line_and_one_command():
    new = [verdict(str(i), State.MISSING) for i in range(60)]
    assert summary_lines(new) == ["new  60 cases without a golden", "60 cases: 60 new"]
    assert accept_line(new, Path("reports"), Path("golden")) == [
        'look at the page, then accept what is new: xai-eval accept --all --bulk --reason "first goldens"'
    ]
    assert accept_line([verdict("a", State.OK)], Path("reports"), Path("golden")) == []


def test_beside_a_drift_the_command_names_the_new_cases():
    new = verdict("new", State.MISSING)
    (line,) = accept_line([new, verdict("old", State.DRIFT, Severity.NUMBERS)], Path("out"), Path("golden"))
    assert line.endswith(f'xai-eval accept {new.case.key} --results out --reason "first goldens"')


def test_columns_are_aligned():
    lines = summary_lines([verdict("a", State.INCOMPARABLE), verdict("b", State.DRIFT, Severity.EVIDENCE)])
    assert lines[0].index("cams/") == lines[1].index("cams/")


def test_nothing_measured_is_said():
    assert summary_lines([]) == ["no cases"]


def test_control_characters_of_a_class_name_do_not_reach_the_terminal():
    line = summary_lines([verdict("a", State.ERROR, reason="class \x1b[2J\nflamingo")])[0]
    assert "\x1b" not in line
    assert "\n" not in line
    assert line.endswith("class [2J flamingo")


def test_severities_are_counted_worst_first():
    drifts = [
        verdict(str(i), State.DRIFT, s) for i, s in enumerate([Severity.NUMBERS, Severity.EVIDENCE, Severity.NUMBERS])
    ]
    assert list(count_severities(drifts).items()) == [(Severity.EVIDENCE, 1), (Severity.NUMBERS, 2)]
    assert counts_sentence(drifts) == "3 cases: 3 drift"
