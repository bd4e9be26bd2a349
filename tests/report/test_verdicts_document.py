from __future__ import annotations

import json
import math

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.stages import Responsible, StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.verdicts import SCHEMA, verdicts_document
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case
from xai_eval.result.stage import Stage, StageKind


def strict(text):
    """Parse as a strict reader does: bare NaN and Infinity are no JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_file_is_strict_json_and_counts_every_case(run):
    document = strict((run.folder / "verdicts.json").read_text())
    assert document["schema"] == SCHEMA
    assert document["failed"] is True
    assert document["cases"] == len(document["verdicts"]) == len(run.verdicts)
    assert document["states"] == {
        "ok": 1,
        "drift": 4,
        "missing": 1,
        "unused": 1,
        "incomparable": 1,
        "error": 1,
    }
    assert document["severities"] == {"numbers": 1, "evidence": 2, "conclusion": 1}
    assert document["run"]["models"] == ["scenes:objects"]


def test_a_verdict_is_told_in_full(run):
    document = verdicts_document(run.verdicts, run.record)
    verdict = run.verdict("moved.JPEG")
    told = next(each for each in document["verdicts"] if each["case"] == verdict.case.key)
    assert (told["task"], told["model"], told["input"]) == ("cams", "scenes:objects", "birds/moved.JPEG")
    assert told["params"] == {"target": "predicted"}
    assert (told["state"], told["severity"]) == ("drift", "evidence")
    assert told["sentence"] == verdict.sentence
    worst = told["findings"][0]
    assert (worst["field"], worst["severity"]) == ("gradcam", "evidence")
    assert worst["excess"] == max(each["excess"] for each in told["findings"] if each["severity"] == "evidence")
    moved = next(each for each in told["findings"] if each["measure"].startswith("mass moved"))
    assert moved["value"] > moved["limit"] == 0.02 and moved["excess"] == moved["value"] / moved["limit"]


def test_numbers_that_are_not_finite_become_words(run):
    finding = Finding("score", Severity.NUMBERS, "difference", "was 1, is NaN", math.inf, math.nan)
    case = Case("cams", "scenes:objects", "scenes/a")
    shift = StageShift(Stage(StageKind.RAW_MAP, "gradcam"), math.inf, Responsible("explainer"))
    verdict = Verdict(case, State.DRIFT, (finding,), shift, (Change("torch", "2.6", "2.15", ChangeKind.VERSION),))
    told = strict(json.dumps(verdicts_document([verdict], run.record)))["verdicts"][0]
    assert (told["findings"][0]["value"], told["findings"][0]["limit"]) == ("Infinity", "NaN")
    assert told["origin"] == {
        "stage": "raw map of gradcam",
        "kind": "raw map",
        "of": "gradcam",
        "model": "",
        "change": "Infinity",
        "noise": None,
        "exceeds": None,
        "step": "explainer",
        "moved_before": [],
    }
    assert told["changes"] == [{"what": "torch", "before": "2.6", "after": "2.15", "kind": "version"}]


def test_nothing_measured_is_a_failure(run):
    assert verdicts_document([], run.record)["failed"] is True


def test_a_run_that_is_all_ok_did_not_fail(run):
    fine = [verdict for verdict in run.verdicts if verdict.state is State.OK]
    assert verdicts_document(fine, run.record)["failed"] is False
