"""`verdicts.json`: the outcome of a run for other programs, as `verdicts.schema.json` describes it.

The layout changes only with `SCHEMA`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from xai_eval.gate.causes import Group, grouped
from xai_eval.gate.run_findings import NO_FINDINGS, RunFindings
from xai_eval.gate.stages import StageShift
from xai_eval.gate.tolerance_fit import ToleranceNote
from xai_eval.gate.unwatched import counted
from xai_eval.gate.upgrades import Upgrade
from xai_eval.gate.verdict import State, Verdict, cause_kinds
from xai_eval.media.characters import shortened
from xai_eval.report.text.release import release_sentence
from xai_eval.report.text.summary import count_severities, count_states, worst_first
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.fields.numbers import to_json
from xai_eval.store.runs import RunRecord

SCHEMA = 5
VERDICTS_FILE = "verdicts.json"


def verdicts_document(
    verdicts: Sequence[Verdict],
    record: RunRecord,
    run_findings: RunFindings = NO_FINDINGS,
) -> dict[str, Any]:
    """Return `verdicts_stream` with all verdicts in a list."""
    document = verdicts_stream(verdicts, record, run_findings)
    return {**document, "verdicts": list(document["verdicts"])}


def verdicts_stream(
    verdicts: Sequence[Verdict],
    record: RunRecord,
    run_findings: RunFindings = NO_FINDINGS,
) -> dict[str, Any]:
    """Return the outcome as JSON values, worst case first; the verdicts are made one by one, as an iterator.

    Every state and every severity is counted, with 0 if no case has it. Numbers that are not finite are
    the strings 'NaN', 'Infinity' and '-Infinity'. A text of more than 4,000 characters is cut, and ends with how many
    are left out.
    """
    states, severities = count_states(verdicts), count_severities(verdicts)
    aside = [verdict for verdict in verdicts if verdict.quarantine]
    document = {
        "schema": SCHEMA,
        "failed": not verdicts or run_findings.failed or any(verdict.failed for verdict in verdicts),
        "cases": len(verdicts),
        "states": {str(state): states.get(state, 0) for state in State},
        "severities": {severity.label: severities.get(severity, 0) for severity in Severity},
        "quarantine": {"cases": len(aside), "expired": sum(verdict.overdue for verdict in aside)},
        "run": _run(record),
        "release": _release(run_findings),
        "systemic": [{**dataclasses.asdict(each), "sentence": each.sentence} for each in run_findings.systemic],
        "tolerances": [_tolerance(note) for note in run_findings.tolerances],
        "unusable_noise": list(run_findings.unusable),
        "not_judged": {"left_out": run_findings.left_out, "not_tried": dict(run_findings.not_tried)},
        "unwatched": _unwatched(verdicts),
        "groups": [_group(group) for group in grouped(worst_first(verdicts))],
    }
    told = (_bounded(_verdict(verdict)) for verdict in worst_first(verdicts))
    return {**{name: _bounded(value) for name, value in document.items()}, "verdicts": told}


def _bounded(value: Any) -> Any:
    """Cut the texts in a JSON value: whoever may write a golden chooses names, which sentences repeat many times."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, Mapping):
        return {shortened(name): _bounded(each) for name, each in value.items()}
    return [_bounded(each) for each in value] if isinstance(value, list | tuple) else value


def _group(group: Group) -> dict[str, Any]:
    cases = [verdict.case.key for verdict in group.verdicts]
    return {"title": group.title, "cause": group.cause.what, "images": group.images, "cases": cases}


def _unwatched(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    parts = counted(part for verdict in verdicts for part in verdict.unwatched)
    return {
        "cases": sum(bool(verdict.unwatched) for verdict in verdicts),
        "parts": [{**dataclasses.asdict(part), "cases": number} for part, number in parts],
    }


def _run(record: RunRecord) -> dict[str, Any]:
    """Describe what was run, but not how it was asked for: that contains paths of one machine."""
    document = {**dataclasses.asdict(record), "seconds": to_json(record.seconds)}
    del document["requests"]
    return document


def _verdict(verdict: Verdict) -> dict[str, Any]:
    aside = verdict.quarantine
    return {
        "case": verdict.case.key,
        "task": verdict.case.task,
        "model": verdict.case.model,
        "input": verdict.case.input,
        "params": dict(verdict.case.params),
        "state": str(verdict.state),
        "failed": verdict.failed,
        "severity": verdict.severity.label if verdict.severity else None,
        "sentence": verdict.sentence,
        "findings": [_finding(finding) for finding in verdict.findings],
        "origin": _origin(verdict.origin) if verdict.origin else None,
        "causes": [str(cause) for cause in cause_kinds(verdict)],
        "changes": [dataclasses.asdict(change) for change in verdict.changes],
        "expected": _expected(verdict.upgrade) if verdict.upgrade else None,
        "unwatched": [dataclasses.asdict(part) for part in verdict.unwatched],
        "quarantine": {**dataclasses.asdict(aside), "expires": str(aside.expires)} if aside else None,
    }


def _release(run_findings: RunFindings) -> dict[str, Any] | None:
    release = run_findings.release
    if release is None:
        return None
    tested = [{name: to_json(v) if isinstance(v, float) else v for name, v in vars(t).items()} for t in release.tested]
    return {
        "outcome": str(release.outcome),
        "sentence": release_sentence(release),
        "not_searched_for_shifts": run_findings.covered,
        "shares": [dataclasses.asdict(each) for each in release.shares],
        "tested": [{**each, "answer": str(each["answer"])} for each in tested],
    }


def _expected(upgrade: Upgrade) -> dict[str, Any]:
    moved = [{**_named(each), "change": to_json(each.change)} for each in upgrade.moved]
    return {"after": [str(kind) for kind in upgrade.kinds], "moved": moved}


def _origin(origin: StageShift) -> dict[str, Any]:
    step = origin.responsible.step if origin.responsible else None
    exceeds = origin.exceeds and {**_named(origin.exceeds), "change": to_json(origin.exceeds.change)}
    moved = list(origin.responsible.slight) if origin.responsible else []
    noise = None if origin.noise is None else to_json(origin.noise)
    return {
        **_named(origin),
        "change": to_json(origin.change),
        "noise": noise,
        "exceeds": exceeds,
        "step": step,
        "moved_before": moved,
    }


def _named(shift: StageShift) -> dict[str, Any]:
    stage = shift.stage
    return {"stage": str(stage), "kind": stage.kind, "of": stage.of, "model": stage.model}


def _tolerance(note: ToleranceNote) -> dict[str, Any]:
    return {
        "fit": str(note.fit),
        "task": note.task,
        "model": note.model,
        "field": note.field,
        "measure": note.measure,
        "cases": note.cases,
        "case": note.case,
        "tolerance": note.tolerance,
        "cap": to_json(note.cap),
        "noise": to_json(note.noise.value),
        "condition": note.noise.condition,
        "sentence": note.sentence,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "field": finding.field,
        "severity": finding.severity.label,
        "measure": finding.measure,
        "value": None if finding.value is None else to_json(finding.value),
        "limit": None if finding.limit is None else to_json(finding.limit),
        "excess": to_json(finding.excess),
        "sentence": finding.sentence,
    }
