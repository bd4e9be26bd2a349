"""What a pytest run knows of goldens: which were checked, with which verdict, and what nobody checked."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xai_eval.disk.lock import acquire, release, this_process
from xai_eval.errors import StorageError, XaiEvalError
from xai_eval.gate.judge import judge, judge_all, missing
from xai_eval.gate.judge_run import error_verdicts, set_aside
from xai_eval.gate.pairing import set_name
from xai_eval.gate.verdict import State, Verdict
from xai_eval.gate.whole_run import NOTHING, Overall, Tally
from xai_eval.report.stale import remove_report
from xai_eval.report.text.commands import accept_command, explain_command
from xai_eval.report.text.pull_request import publish
from xai_eval.report.text.summary import accept_line, explain_line, summary_lines
from xai_eval.report.write import write_report
from xai_eval.result.result import Case, Result
from xai_eval.store.goldens import Goldens
from xai_eval.store.lazy import open_result
from xai_eval.store.noise import load_noises
from xai_eval.store.quarantine import Quarantine, read_quarantine
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord, check_results, now, remove_results

# Options of pytest that leave tests out without telling which.
_LEAVING_OUT = ("ignore", "ignore_glob", "lf")
Failure = tuple[str, str]


@dataclass
class GoldenSession:
    """State of one pytest process.

    Attributes:
        goldens: where goldens are.
        report: folder that results and page are written to.
        owner: process that has the report folder: the controller of pytest-xdist, for its workers too.
        strict: whether a test that uses goldens and checks nothing fails.
        partial: whether tests with goldens were left out, so that unused goldens cannot be told.
        selected: ids of the tests that use goldens.
        required: those of them whose inputs must be there.
        failed: those of them that failed.
        checked: ids of the tests that checked a case, by case key; more than one is a mistake.
    """

    goldens: Goldens
    report: Path
    owner: str = field(default_factory=this_process)
    strict: bool = False
    partial: bool = False
    selected: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    checked: dict[str, list[str]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    overall: Overall = NOTHING
    page: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> GoldenSession:
        """Read options and ini keys; the command line wins."""
        worker: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        return cls(
            goldens=Goldens(_folder(config, "xai_golden")),
            report=_folder(config, "xai_report"),
            owner=(worker or {}).get("xai_eval_owner") or this_process(),
            strict=is_strict(config),
            # A worker of pytest-xdist is always given its tests by name; only its controller knows what was asked.
            partial=worker is None and not _asks_for_all(config),
        )

    def check(self, result: Result, item: pytest.Item) -> tuple[Verdict, str]:
        """Judge one result, keep it for the report, and return the verdict with the message of a failure."""
        key = result.case.key
        others = [nodeid for nodeid in self.checked.get(key, []) if nodeid != item.nodeid]
        if others:
            pytest.fail(_clash(key, [*others, item.nodeid]), pytrace=False)
        folder = self._save(result)
        entries = self._quarantine_or_fail()
        # Only now, so that what could not be saved is not looked for at the end.
        self.checked[key] = [item.nodeid]
        verdict = dataclasses.replace(self._judge(result), quarantine=entries.get(key))
        _record_properties(item, verdict)
        # pytest cuts long explanations short, so verdict, measure and path come first.
        advice = "\n".join(self._advice(verdict))
        return verdict, f"{verdict.state}: {key}: {verdict.sentence}\nobtained: {folder}\n{advice}"

    def _advice(self, verdict: Verdict) -> list[str]:
        """What to do about a case that failed, as commands."""
        asked = verdict.case.key, self.report, self.goldens.folder
        # pytest has no record of the model and the images that a test gave to `evaluate`.
        explain = (
            [f"what carries it, asked for as in the test: {explain_command(*asked, asked=False)}"]
            if verdict.state is State.DRIFT
            else []
        )
        return [*explain, f"if this is right: {accept_command(*asked)}"]

    @functools.cached_property
    def _quarantine(self) -> Mapping[str, Quarantine]:
        return read_quarantine(self.goldens.folder)

    def _quarantine_or_fail(self) -> Mapping[str, Quarantine]:
        try:
            return self._quarantine
        except StorageError as error:
            pytest.fail(str(error), pytrace=False)

    def _save(self, result: Result) -> Path:
        try:
            self._claim(result.case)
            return result.save(self.report / RESULTS_FOLDER / result.case.key)
        except XaiEvalError as error:
            pytest.fail(str(error), pytrace=False)

    def _claim(self, case: Case) -> None:
        """Have the report folder for this run; whoever comes first checks whose it was, and says that it is used."""
        if self.checked:
            return
        try:
            check_results(self.report)
            foreign = None
        except StorageError as error:
            foreign = error  # or another worker of this run has begun to write there
        if not acquire(self.report, self.owner):
            return
        if foreign:
            release(self.report, self.owner)
            raise foreign
        remove_report(self.report)
        planned = len(self.selected)
        RunRecord((case.task,), (case.model,), (set_name(case),), planned, when=now()).save(self.report)

    def _judge(self, result: Result) -> Verdict:
        try:
            golden = self.goldens.load(result.case)
        except StorageError as error:
            return Verdict(result.case, State.ERROR, reason=str(error))
        return missing(result.case) if golden is None else judge(result, golden)

    @property
    def _idle(self) -> list[str]:
        """Tests that use goldens and checked nothing: skipped, or failed before."""
        busy = {nodeid for nodeids in self.checked.values() for nodeid in nodeids}
        return [nodeid for nodeid in self.selected if nodeid not in busy]

    @property
    def _complete(self) -> bool:
        """Whether every test that uses goldens checked a result."""
        return not self.partial and not self._idle

    @property
    def worth_a_summary(self) -> bool:
        """Whether any test used goldens."""
        return bool(self.selected or self.checked)

    def handover(self) -> str:
        """State of a worker as plain JSON, the only thing that pytest-xdist may be given."""
        state = {name: getattr(self, name) for name in ("partial", "selected", "required", "failed", "checked")}
        return json.dumps(state)

    def merge(self, output: str) -> None:
        """Take over a worker's state."""
        other: Mapping[str, Any] = json.loads(output)
        self.partial |= other["partial"]
        for name in ("selected", "required", "failed"):
            setattr(self, name, list(dict.fromkeys((*getattr(self, name), *other[name]))))
        for key, nodeids in other["checked"].items():
            self.checked[key] = list(dict.fromkeys((*self.checked.get(key, []), *nodeids)))

    def finish(self, session: pytest.Session) -> list[Failure]:
        """Judge the run as a whole, write the report, and return the failures that no single test has."""
        clashes = [(f"xai-eval::clash[{k}]", _clash(k, ids)) for k, ids in self.checked.items() if len(ids) > 1]
        failures = [*self._not_measured(session), *clashes]
        try:
            return [*failures, *self._judge_all()]
        except StorageError as error:
            return [*failures, ("xai-eval::report", str(error))]
        finally:
            release(self.report, self.owner)

    def _judge_all(self) -> list[Failure]:
        if not self.checked:
            return []
        results = {key: open_result(self.report / RESULTS_FOLDER / key) for key in self.checked}
        # Results of earlier runs, which `xai-eval accept --all` would take for this one's.
        remove_results(self.report, keep=self.checked)
        stored, errors = self.goldens.load_all()
        tasks = {result.case.task for result in results.values()}
        broken = {k: v for k, v in error_verdicts(errors, results).items() if k in results or v.case.task in tasks}
        tally = Tally(load_noises(self.goldens.folder, stored))
        verdicts = judge_all(results, stored, broken, listener=tally)
        verdicts = [v for v in verdicts if v.case.key in results or self._complete]
        self.verdicts = set_aside(verdicts, self._quarantine, {*stored, *errors, *results})
        self.overall = tally.overall()
        self._write_report(results, stored)
        systemic = [(f"xai-eval::systemic[{each.what}]", each.sentence) for each in self.overall.systemic]
        lonely = [v for v in self.verdicts if v.case.key not in results]
        alone = [(f"xai-eval::{v.state}[{v.case.key}]", f"{v.state}: {v.case.key}: {v.reason}") for v in lonely]
        return [*alone, *systemic]

    def _not_measured(self, session: pytest.Session) -> list[Failure]:
        if session.config.option.collectonly or session.shouldfail or session.shouldstop:
            return []
        if self.strict:
            message = "not measured: the test uses goldens, but did not come to check a result."
            return [(nodeid, message) for nodeid in self._idle if nodeid not in self.failed]
        if self.checked or not self.required or session.testsfailed:
            return []
        message = f"{len(self.required)} tests use goldens, but none of them checked a result: nothing was measured."
        return [("xai-eval::nothing_measured", message)]

    def _write_report(self, results: Mapping[str, Result], stored: Mapping[str, Result]) -> None:
        cases = [r.case for r in results.values()]
        inputs = tuple(dict.fromkeys(set_name(c) for c in cases))
        first = next(iter(results.values())).provenance
        record = RunRecord(
            tasks=tuple(dict.fromkeys(c.task for c in cases)),
            models=tuple(dict.fromkeys(c.model for c in cases)),
            inputs=inputs,
            planned=len(results) + len(self._idle),
            selections=inputs if self.partial else (),
            versions=first.versions,
            device=first.device,
            when=now(),
            finished=not self._idle,
        )
        record.save(self.report)
        arguments = self.report, record, results, stored, self.verdicts
        self.page = write_report(*arguments, golden=self.goldens.folder, overall=self.overall)
        publish(self.verdicts, self.page)

    def summary(self) -> list[str]:
        """Lines for the terminal."""
        lines = summary_lines(self.verdicts, self.overall) if self.verdicts else ["nothing was measured"]
        if self._idle:
            lines.append(f"{len(self._idle)} tests that use goldens did not come to check a result")
        if self.page:
            folders = self.report, self.goldens.folder
            lines += [*accept_line(self.verdicts, *folders), *explain_line(self.verdicts, (), *folders)]
            lines.append(f"page: {self.page}")
        return lines


def is_strict(config: pytest.Config) -> bool:
    """Whether what could not be measured fails; the command line wins over the ini key."""
    strict = config.getoption("--xai-strict")
    return bool(config.getini("xai_strict") if strict is None else strict)


def _folder(config: pytest.Config, name: str) -> Path:
    """Return a folder by its option, relative to where pytest was called, or by its ini key, relative to the root."""
    given = config.getoption(name)
    return Path(config.invocation_params.dir / given if given else config.rootpath / config.getini(name))


def _asks_for_all(config: pytest.Config) -> bool:
    """Whether pytest was called such that it collects all tests of the repository."""
    if any(config.getoption(name, None) for name in _LEAVING_OUT):
        return False
    sources = pytest.Config.ArgsSource
    if config.args_source is sources.INVOCATION_DIR:
        here = config.invocation_params.dir
        roots = [config.rootpath / path for path in config.getini("testpaths")] or [config.rootpath]
        return config.rootpath.is_relative_to(here) or all(root.is_relative_to(here) for root in roots)
    return config.args_source is sources.TESTPATHS


def _clash(key: str, nodeids: Sequence[str]) -> str:
    return f"two tests check the case {key}: {' and '.join(sorted(nodeids))}."


def _record_properties(item: pytest.Item, verdict: Verdict) -> None:
    properties = {
        "xai_case": verdict.case.key,
        "xai_state": str(verdict.state),
        "xai_severity": verdict.severity.label if verdict.severity else "",
        "xai_verdict": verdict.sentence,
        "xai_quarantine": str(verdict.quarantine.expires) if verdict.quarantine else "",
    }
    # A test that is tried again keeps one set of properties, that of its last try.
    item.user_properties[:] = [p for p in item.user_properties if p[0] not in properties]
    item.user_properties.extend(properties.items())
