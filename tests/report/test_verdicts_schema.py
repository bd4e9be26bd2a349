"""`verdicts.schema.json` says what `verdicts.json` holds: every real document is valid, and what is not one is not."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import json
import math
from importlib import resources

import jsonschema
import pytest

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.judge import judge_all
from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.verdicts import SCHEMA, verdicts_document
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.quarantine import Quarantine


@pytest.fixture(scope="module")
def schema():
    """As a user of the wheel finds it."""
    return json.loads(resources.files("xai_eval.report").joinpath("verdicts.schema.json").read_text())


@pytest.fixture(scope="module")
def valid(schema):
    return jsonschema.Draft202012Validator(schema).validate


@pytest.fixture
def document(run):
    return json.loads((run.folder / "verdicts.json").read_text())


def test_the_schema_is_one_and_has_the_number_that_documents_bear(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA
    verdict = schema["$defs"]["verdict"]["properties"]
    assert verdict["state"]["enum"] == list(State)
    assert verdict["causes"]["items"]["enum"] == list(ChangeKind)
    assert verdict["changes"]["items"]["properties"]["kind"]["enum"] == list(ChangeKind)[:-1]
    assert schema["$defs"]["finding"]["properties"]["severity"]["enum"] == [each.label for each in Severity]


def printed(verdicts, record):
    return json.loads(json.dumps(verdicts_document(verdicts, record)))


def test_what_a_run_wrote_is_valid(valid, document):
    valid(document)


def test_what_the_command_line_prints_is_valid(valid, run):
    valid(printed(run.verdicts, run.record))
    valid(printed([], dataclasses.replace(run.record, seconds=math.nan, when="2026-01-01T00:00:00+00:00")))


def test_what_is_rare_is_valid_too(valid, run):
    finding = Finding("score", Severity.NUMBERS, "difference", "was 1, is NaN", math.inf, math.nan)
    shift, change = StageShift(Stage(StageKind.LOGITS), math.inf), Change("torch", "2.6", "2.15", ChangeKind.VERSION)
    case = Case("cams", "?", "scenes/a", {"layer": None})
    aside = Quarantine("Mira", "upstream", datetime.date(2027, 1, 31), expired=True)
    verdict = Verdict(case, State.DRIFT, (finding,), shift, (change,), quarantine=aside)
    told = printed([verdict], run.record)
    valid(told)
    assert told["verdicts"][0]["quarantine"]["expires"] == "2027-01-31"
    assert told["verdicts"][0]["causes"] == ["version"]


def broken(document):
    """The document with one thing wrong at a time."""
    for name in document:
        if name != "files":
            yield f"without {name}", {key: value for key, value in document.items() if key != name}
    for name in document["verdicts"][0]:
        wrong = copy.deepcopy(document)
        del wrong["verdicts"][0][name]
        yield f"verdict without {name}", wrong
    for name, value in {"state": "fine", "failed": 1, "severity": "bad", "causes": ["fate"], "extra": 1}.items():
        wrong = copy.deepcopy(document)
        wrong["verdicts"][0][name] = value
        yield f"verdict with {name} {value}", wrong
    yield "another schema", {**document, "schema": SCHEMA - 1}


def test_what_is_not_one_is_not_valid(valid, document):
    kinds = list(broken(document))
    assert len(kinds) > 25
    for name, wrong in kinds:
        with pytest.raises(jsonschema.ValidationError):
            valid(wrong)
            pytest.fail(name)


def test_another_class_and_a_field_that_is_gone_are_valid(valid, run, build):
    one, two = build.result("a.JPEG"), build.result("a.JPEG", label="heron", top5=None)
    obtained, goldens = build.by_key(two), build.by_key(one.condensed())
    valid(printed(judge_all(obtained, goldens), run.record))
