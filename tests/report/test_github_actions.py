from __future__ import annotations

import dataclasses
import datetime
import re

import pytest

from xai_eval.gate.unwatched import Unwatched
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.github_actions import annotation, report_to_github, step_summary
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case
from xai_eval.store.quarantine import Quarantine

SET_ASIDE = Quarantine("Mira", "upstream", datetime.date(2999, 1, 1))


def verdict(name, state=State.DRIFT, severity=None, sentence="rank 0.1"):
    findings = (Finding("gradcam", severity, "rank", sentence),) if severity else ()
    return Verdict(Case("cams", "scenes:objects", f"scenes/{name}"), state, findings, reason="because.")


def rows(summary):
    return [line for line in summary.splitlines() if line.startswith("| ")][2:]


def cells(row):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def outside_code(markdown):
    """The text that Markdown reads: within code, every character is itself."""
    return re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown)


def many(number, severity):
    return [verdict(f"{severity.label}-{i:03}", severity=severity) for i in range(number)]


def test_the_worst_fifty_are_listed_and_the_rest_is_counted(tmp_path):
    verdicts = [
        *many(40, Severity.NUMBERS),
        *(verdict(f"new-{i}", State.MISSING) for i in range(3)),
        *many(20, Severity.CONCLUSION),
        verdict("fine", State.OK),
    ]
    summary = step_summary(verdicts, tmp_path / "index.html")
    listed = [cells(row) for row in rows(summary)]
    assert [row[1] for row in listed] == ["conclusion"] * 20 + ["numbers"] * 30
    assert "64 cases: 1 ok, 60 drift, 3 new" in summary
    assert "The table lists the 50 worst of 60 cases to look at. The others: 10 cases: 10 drift." in summary
    assert "NEW: 3 cases have no golden (" in summary
    assert str(tmp_path / "index.html") in summary


def test_fifty_need_no_such_sentence():
    summary = step_summary(many(50, Severity.NUMBERS), None)
    assert len(rows(summary)) == 50
    assert "listed" not in summary


def test_all_well_is_one_line():
    assert step_summary([verdict("fine", State.OK)], None).split() == [
        "##",
        "Explanations",
        "**1",
        "case:",
        "1",
        "ok**",
    ]


def test_quarantine_is_listed_behind_what_fails():
    aside = dataclasses.replace(verdict("aside", severity=Severity.CONCLUSION), quarantine=SET_ASIDE)
    overdue = dataclasses.replace(verdict("overdue", State.OK), quarantine=dataclasses.replace(SET_ASIDE, expired=True))
    summary = step_summary([aside, overdue, verdict("bad", severity=Severity.NUMBERS)], None)
    assert [cells(row)[0] for row in rows(summary)] == ["drift", "ok (quarantine expired)", "drift (quarantine)"]
    assert "2 in quarantine, 1 of them for too long" in summary


HOSTILE = "a|b\n| x | `y` <img src=x onerror=alert(1)> [z](http://evil.example) **b** ::error::%0A"


def test_hostile_names_stay_in_their_cell():
    summary = step_summary([verdict(HOSTILE, severity=Severity.EVIDENCE, sentence=HOSTILE)], None)
    (row,) = rows(summary)
    assert len(cells(row)) == 4
    assert not re.search(r"(?<!\\)[<`\[]", outside_code(row))


def test_long_sentences_are_cut():
    summary = step_summary([verdict("a", severity=Severity.NUMBERS, sentence="word " * 10_000)], None)
    assert len(summary) < 1000


def test_one_annotation_names_the_counts_and_the_worst():
    drifts = [verdict("a", severity=Severity.NUMBERS), verdict("b", severity=Severity.CONCLUSION)]
    told = annotation(drifts)
    assert told.startswith("::error title=xai-eval::2 cases: 2 drift. The worst is cams/scenes-b-")
    assert told.count("\n") == 1
    assert "changed (conclusion)" in told


def test_an_annotation_cannot_be_broken_out_of():
    told = annotation([verdict("a", severity=Severity.NUMBERS, sentence="100 %\n::warning::x\r::set-output::y")])
    assert told.count("\n") == 1
    assert told.endswith("\n")
    assert r"100 %25 \x3a:warning\x3a:x \x3a:set-output\x3a:y" in told


def test_there_is_none_where_nothing_failed():
    aside = dataclasses.replace(verdict("a", severity=Severity.CONCLUSION), quarantine=SET_ASIDE)
    assert annotation([verdict("fine", State.OK), aside]) == ""
    assert "nothing was measured" in annotation([]).lower()


@pytest.fixture
def github(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


def test_the_summary_is_appended_and_the_annotation_leaves_standard_output_alone(github, capsys):
    github.write_text("what another step wrote\n")
    report_to_github([verdict("a", severity=Severity.NUMBERS)], None)
    assert github.read_text().startswith("what another step wrote\n## Explanations\n")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("::error title=xai-eval::1 case: 1 drift.")


def test_a_summary_that_cannot_be_written_is_said_and_no_more(github, capsys):
    github.mkdir()
    report_to_github([verdict("a", severity=Severity.NUMBERS)], None)
    err = capsys.readouterr().err
    assert "GITHUB_STEP_SUMMARY" in err
    assert "cannot be written" in err
    assert "::error title=xai-eval::" in err


def test_elsewhere_nothing_is_said(monkeypatch, capsys):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    report_to_github([verdict("a", severity=Severity.NUMBERS)], None)
    assert capsys.readouterr() == ("", "")


def test_a_first_run_is_one_sentence_and_no_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new = [verdict(f"new-{i}", State.MISSING) for i in range(60)]
    summary = step_summary(new, tmp_path / "index.html")
    assert rows(summary) == []
    assert "**60 cases: 60 new**" in summary
    assert "NEW: 60 cases have no golden. Look at reports/index.html, then: `xai-eval accept --all --bulk" in summary
    assert annotation(new) == "::error title=xai-eval::60 cases: 60 new. NEW: 60 cases have no golden.\n"


def test_what_is_unwatched_is_named_and_hostile_names_stay_text():
    fine = dataclasses.replace(verdict("fine", State.OK), unwatched=(Unwatched("column", HOSTILE, "table"),))
    summary = step_summary([fine], None)
    assert "1 golden lacks what the run obtained" in summary
    assert not re.search(r"(?<!\\)[<`\[]", outside_code(summary))


def test_the_summary_stays_below_a_megabyte_whatever_is_in_the_file_already(github):
    long = [verdict(f"{'@' * 3000}{i}", severity=Severity.NUMBERS, sentence="@#_" * 2000) for i in range(60)]
    report_to_github(long, None)
    assert 100_000 < github.stat().st_size < 2**20
    assert "The table lists the 50 worst of 60 cases to look at." in github.read_text()
    github.write_bytes(b"x" * (1_000_000 - 50_000))
    report_to_github(long, None)
    assert github.stat().st_size < 2**20
    told = re.search(r"The table lists the (\d+) worst of 60 cases", github.read_text())
    assert told and 0 < int(told[1]) < 50
