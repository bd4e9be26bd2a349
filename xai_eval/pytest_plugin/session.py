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

from xai_eval.errors import StorageError, XaiEvalError
from xai_eval.gate.judge_run import Judged, judge_result, judge_results
from xai_eval.gate.pairing import set_name
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.stale import remove_report
from xai_eval.report.text.commands import Folders, accept_command, explain_command
from xai_eval.report.text.pull_request import publish
from xai_eval.report.text.summary import explain_line, state_word, summary_lines
from xai_eval.report.write import write_report
from xai_eval.result.result import RESULT_FILE, Result
from xai_eval.store.goldens import Goldens
from xai_eval.store.quarantine import Quarantine, read_quarantine
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord, now

# Options of pytest that leave tests out without telling which.
_LEAVING_OUT = ("ignore", "ignore_glob", "lf")
Failure = tuple[str, str]


@dataclass
class GoldenSession:
    """State of one pytest process.

    Attributes:
        goldens: where goldens are.
        folder: that results and page are written to; of the controller of pytest-xdist, for its workers too.
        strict: whether a test that uses goldens and checks nothing fails.
        partial: whether tests with goldens were left out, so that unused goldens cannot be told.
        selected: ids of the tests that use goldens.
        required: those of them whose inputs must be there.
        failed: those of them that failed.
        checked: ids of the tests that checked a case, by case key; more than one is a mistake.
        told: keys of the cases that failed where their test checked them: that test says it, or expects it.
        record: what the checked results are of.
        judged: the run as a whole, once it is over.
        page: where it is shown.
    """

    goldens: Goldens
    folder: RunFolder
    strict: bool = False
    partial: bool = False
    selected: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    checked: dict[str, list[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    record: RunRecord = field(default_factory=lambda: RunRecord((), (), (), 0))
    judged: Judged | None = None
    page: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> GoldenSession:
        """Read options and ini keys; the command line wins."""
        worker: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        report = _folder(config, "xai_report")
        return cls(
            goldens=Goldens(_folder(config, "xai_golden")),
            folder=RunFolder(report, worker["xai_eval_owner"]) if worker else RunFolder(report),
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
        place = self._save(result)
        entries = self._quarantine_or_fail()
        # Only now, so that what could not be saved is not looked for at the end.
        self.checked[key] = [item.nodeid]
        self.record = _including(self.record, result)
        verdict = judge_result(result, self.goldens, entries)
        self._note(verdict)
        _record_properties(item, verdict)
        # pytest cuts long explanations short, so verdict, measure and path come first.
        advice = "\n".join(self._advice(verdict))
        return verdict, f"{state_word(verdict.state)}: {key}: {verdict.sentence}\nobtained: {place}\n{advice}"

    def _note(self, verdict: Verdict) -> None:
        """Note whether the test is told of a failure; of a test that is tried again the last try counts."""
        key = verdict.case.key
        self.told = [each for each in self.told if each != key] + [key] * verdict.failed

    def _advice(self, verdict: Verdict) -> list[str]:
        """What to do about a case that failed, as commands."""
        asked = verdict.case.key, self.folder.path, self.goldens.folder
        # pytest has no record of the model and the images that a test gave to `evaluate`.
        explain = (
            [f"what carries it, asked for as in the test: {explain_command(*asked, None)}"]
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
            self._claim(result)
            return self.folder.save(result)
        except XaiEvalError as error:
            pytest.fail(str(error), pytrace=False)

    def _claim(self, result: Result) -> None:
        """Have the folder for this run; whoever comes first takes away what an earlier run left, and says so."""
        if self.checked or not self.folder.claim():
            return
        remove_report(self.folder.path)
        self.folder.save_record(
            dataclasses.replace(_including(self.record, result), planned=len(self.selected), when=now())
        )

    @property
    def _idle(self) -> list[str]:
        """Tests that use goldens and checked nothing: skipped, or failed before."""
        busy = {nodeid for nodeids in self.checked.values() for nodeid in nodeids}
        return [nodeid for nodeid in self.selected if nodeid not in busy]

    @property
    def worth_a_summary(self) -> bool:
        """Whether any test used goldens."""
        return bool(self.selected or self.checked)

    def handover(self) -> str:
        """State of a worker as plain JSON, the only thing that pytest-xdist may be given."""
        state = {name: getattr(self, name) for name in ("partial", "selected", "required", "failed", "told", "checked")}
        return json.dumps({**state, "record": dataclasses.asdict(self.record)})

    def merge(self, output: str) -> None:
        """Take over a worker's state."""
        other: Mapping[str, Any] = json.loads(output)
        self.partial |= other["partial"]
        for name in ("selected", "required", "failed", "told"):
            setattr(self, name, list(dict.fromkeys((*getattr(self, name), *other[name]))))
        self.record = _joined(self.record, RunRecord(**other["record"]))
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
            self.folder.release()

    def _judge_all(self) -> list[Failure]:
        if not self.checked:
            return []
        # Results of earlier runs, which `xai-eval accept --all` would take for this one's.
        self.folder.remove_results(keep=self.checked)
        self.folder.save_record(self._whole_record())
        judged = judge_results(self.folder.path, self.goldens)
        self._require_all(judged)
        self.judged = judged
        self.page = write_report(self.folder.path, judged, self.goldens.folder)
        publish(judged.verdicts, self.page, self._where)
        systemic = [(f"xai-eval::systemic[{each.what}]", each.sentence) for each in judged.overall.systemic]
        # Whatever no test said of its own case, so that a run never passes with a verdict that fails.
        lonely = [v for v in judged.verdicts if v.failed and v.case.key not in self.told]
        alone = [(f"xai-eval::{v.state}[{v.case.key}]", f"{v.state}: {v.case.key}: {v.sentence}") for v in lonely]
        return [*alone, *systemic]

    def _whole_record(self) -> RunRecord:
        """What the run set out to do, now that it is over."""
        idle = self._idle
        return dataclasses.replace(
            self.record,
            planned=len(self.checked) + len(idle),
            selections=self.record.inputs if self.partial or idle else (),
            when=now(),
            finished=not idle,
        )

    def _require_all(self, judged: Judged) -> None:
        """Refuse to report a run whose results did not stay where they were written."""
        found = {*judged.results, *judged.broken}
        lost = next((key for key in self.checked if key not in found), None)
        if lost:
            place = self.folder.place_of(lost) / RESULT_FILE
            raise StorageError(f"{place} cannot be read: it was removed while the tests ran. Run them again.")

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

    def summary(self) -> list[str]:
        """Lines for the terminal."""
        if self.judged is None:
            lines = ["nothing was measured"]
        else:
            lines = summary_lines(self.judged.verdicts, self.judged.overall, self._where)
        if self._idle:
            lines.append(f"{len(self._idle)} tests that use goldens did not come to check a result")
        if self.judged and self.page:
            lines += explain_line(self.judged.verdicts, {}, self.folder.path, self.goldens.folder)
            lines.append(f"page: {self.page}")
        return lines

    @property
    def _where(self) -> Folders:
        return Folders(self.folder.path, self.goldens.folder)


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


def _including(record: RunRecord, result: Result) -> RunRecord:
    """The record of a run that obtained `result` as well."""
    case, provenance = result.case, result.provenance
    inputs = (set_name(case),)
    own = RunRecord((case.task,), (case.model,), inputs, 0, versions=provenance.versions, device=provenance.device)
    return _joined(record, own)


def _joined(record: RunRecord, other: RunRecord) -> RunRecord:
    """The record of what two workers obtained, or one before and after; of versions and device the first are told."""
    first = record if record.tasks else other
    return dataclasses.replace(
        first,
        tasks=tuple(dict.fromkeys((*record.tasks, *other.tasks))),
        models=tuple(dict.fromkeys((*record.models, *other.models))),
        inputs=tuple(dict.fromkeys((*record.inputs, *other.inputs))),
    )


def _record_properties(item: pytest.Item, verdict: Verdict) -> None:
    properties = {
        "xai_case": verdict.case.key,
        "xai_state": str(verdict.state),
        "xai_severity": verdict.severity.label if verdict.severity else "",
        "xai_verdict": verdict.sentence,
        "xai_unwatched": "; ".join(map(str, verdict.unwatched)),
        "xai_quarantine": str(verdict.quarantine.expires) if verdict.quarantine else "",
    }
    # A test that is tried again keeps one set of properties, that of its last try.
    item.user_properties[:] = [p for p in item.user_properties if p[0] not in properties]
    item.user_properties.extend(properties.items())
