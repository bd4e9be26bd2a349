"""The state of a pytest run: which cases were checked by which test, and what no test checked."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xai_eval.errors import StorageError, UsageError, XaiEvalError
from xai_eval.gate.judge_run import Judged, judge_result, judge_results
from xai_eval.gate.pairing import set_name
from xai_eval.gate.requests import request_of
from xai_eval.gate.verdict import State, Verdict
from xai_eval.media import xml
from xai_eval.media.terminal import line
from xai_eval.pytest_plugin.bare_result import input_of, test_id
from xai_eval.pytest_plugin.shown import fail, skip, usage_error
from xai_eval.report.earlier_report import remove_earlier_report
from xai_eval.report.text.commands import accept_command, explain_command, folders_to_accept, to_fill_in, typed_in
from xai_eval.report.text.github_actions import report_to_github
from xai_eval.report.text.head import head
from xai_eval.report.text.outcome import advice_lines
from xai_eval.report.text.summary import explain_line, state_word, summary_lines, worst_first
from xai_eval.result.result import RESULT_FILE, Result
from xai_eval.result.tolerances import tolerated_parts, unknown_tolerance, with_tolerances
from xai_eval.settings.read import load_settings
from xai_eval.settings.settings import FieldTolerances, Settings
from xai_eval.store.checkout import checkout_of
from xai_eval.store.goldens import Goldens
from xai_eval.store.quarantine import Quarantine, this_day
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord, now
from xai_eval.store.upgrade_policy import DEFAULT_POLICY, Policy

# Options of pytest that leave tests out without telling which.
_LEAVING_OUT = ("ignore", "ignore_glob", "lf")
# Attributes that list tests, in which workers of pytest-xdist are joined.
_LISTS = ("selected", "required", "ended", "failed", "cut_short")
Failure = tuple[str, str]
_ELSEWHERE = (
    "a case was checked in another process than that of the tests, where its verdict is lost. Let it return what it "
    "computed, and check that in the test itself; run such tests without --forked."
)


@dataclass
class GoldenSession:
    """State of one pytest process.

    Attributes:
        goldens: the folder of goldens.
        folder: the folder that results and page are written to; workers of pytest-xdist share their controller's.
        root: the folder that pytest takes for that of the tests, whose commit is recorded.
        called_in: the folder where pytest was called, for which commands to copy are written.
        today: the day on which the tests began, for the quarantine. Code of a test may set another one.
        tolerances: those of the configuration file, by task and field.
        settings_name: the configuration file as messages name it.
        policy: what decides after a change that is on record.
        known_parts: what the checked results have that a tolerance may be given for, by task and field.
        strict: whether a test that uses goldens and checks nothing fails.
        partial: whether tests with goldens were left out, so that nothing can be said of unused goldens.
        selected: ids of the tests that use goldens.
        required: those of them that are not marked `real` or `gpu`, so that they must run everywhere.
        ended: those of them that came to their end, in whatever way; the others were left when pytest was stopped.
        deselected: number of tests that use goldens and were deselected.
        failed: those of them that failed.
        cut_short: what the inputs of the values of these begin with: those that a test did not reach are not unused.
        checked: ids of the tests that checked a case, by case key; more than one is a mistake.
        failing: the verdicts that fail, as tests saw them, by case key. Each of these tests has to fail.
        outcomes: how the tests among these ended that did not fail, such as `passed` or `xfailed`, by id.
        elsewhere: memory that copies of this process share; its first byte is not 0 once a case was checked in a copy.
        process: the id of this process.
        dry: whether pytest only collects, plans or sets up: then nothing is judged or written.
        record: tasks, models, inputs and versions of the checked results.
        judged: the outcome of the run as a whole, at its end.
        page: path of the page, at the end.
    """

    goldens: Goldens
    folder: RunFolder
    root: Path = Path()
    called_in: Path = Path()
    today: datetime.date = field(default_factory=this_day)
    tolerances: Mapping[str, FieldTolerances] = field(default_factory=dict)
    settings_name: str = ""
    policy: Policy = DEFAULT_POLICY
    known_parts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    strict: bool = False
    partial: bool = False
    selected: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    deselected: int = 0
    failed: list[str] = field(default_factory=list)
    cut_short: list[str] = field(default_factory=list)
    checked: dict[str, list[str]] = field(default_factory=dict)
    failing: dict[str, Failure] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    elsewhere: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 1))
    process: int = field(default_factory=os.getpid)
    dry: bool = False
    record: RunRecord = field(default_factory=lambda: RunRecord((), (), (), 0))
    judged: Judged | None = None
    page: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> GoldenSession:
        """Read options, ini keys and the configuration file; the first of them that names a value counts."""
        worker: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        settings = settings_of(config)
        report = _folder(config, "xai_report", settings, settings.reports)
        return cls(
            goldens=Goldens(
                _folder(config, "xai_golden", settings, settings.golden), quarantine_days=settings.quarantine_days
            ),
            tolerances=settings.tolerances,
            settings_name=settings.name,
            policy=settings.policy,
            root=config.rootpath,
            called_in=config.invocation_params.dir,
            folder=RunFolder(report, worker["xai_eval_owner"]) if worker else RunFolder(report),
            strict=is_strict(config),
            # Workers of pytest-xdist get their tests by name; only the controller knows the command line.
            partial=worker is None and not _asks_for_all(config),
            dry=is_dry(config),
        )

    def check(self, result: Result, item: pytest.Item) -> tuple[Verdict, str]:
        """Judge one result, keep it for the report, and return the verdict with the message of a failure."""
        if self.dry:
            skip("pytest was asked to set up only, so no explanation is checked")
        if os.getpid() != self.process:
            self.elsewhere[0] = 1
            fail(_ELSEWHERE)
        key = result.case.key
        others = [nodeid for nodeid in self.checked.get(key, []) if nodeid != item.nodeid]
        if others:
            fail(_clash(key, [*others, item.nodeid]))
        result = self._tolerating(result)
        place = self._save(result)
        entries = self._quarantine_or_fail()
        # Not before it is saved: at the end, every checked result is expected in the folder.
        self.checked[key] = [item.nodeid]
        self.record = _including(self.record, result)
        verdict = judge_result(result, self.goldens, entries, self.policy, self._unclaimed)
        _record_properties(item, verdict)
        # pytest cuts long explanations short, so verdict, measure and path come first.
        with typed_in(self.called_in):
            advice = "\n".join(map(line, self._advice(verdict)))
        first = line(f"{state_word(verdict.state)}: {key}: {verdict.sentence}")
        message = "\n".join([first, line(f"obtained: {place}"), advice])
        if verdict.failed:
            self.failing[key] = item.nodeid, message
        return verdict, message

    def _unclaimed(self) -> dict[str, Result]:
        """Return the goldens whose own cases no test has checked so far."""
        return {key: golden for key, golden in self._stored.items() if key not in self.checked}

    @functools.cached_property
    def _stored(self) -> Mapping[str, Result]:
        return self.goldens.opened().load_all()[0]

    def note_request(self, request: Mapping[str, Any], selection: str | None) -> None:
        """Note how a case was asked for, so that it can be computed again, and the input set of which it is a part."""
        own = RunRecord((), (), (), 0, selections=(selection,) if selection else (), requests={"": request})
        self.record = _joined(self.record, own)

    def _tolerating(self, result: Result) -> Result:
        task = result.case.task
        for name, parts in tolerated_parts(result).items() if task in self.tolerances else ():
            known = self.known_parts.setdefault(task, {}).setdefault(name, [])
            known += [part for part in parts if part not in known]
        try:
            return with_tolerances(result, self.tolerances.get(task, {}))
        except UsageError as error:
            fail(f"{self.settings_name}: {error}")

    def begin(self, nodeid: str) -> None:
        """Forget what an earlier try of a test saw: if a test is tried again, the last try counts."""
        self.failed = [each for each in self.failed if each != nodeid]
        self.failing = {key: seen for key, seen in self.failing.items() if seen[0] != nodeid}

    def note_report(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Note how a phase of a test ended. A test that saw a failing verdict has to fail, in whatever way."""
        if report.when == "call":
            self.outcomes[item.nodeid] = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        uses_goldens = "xai_golden" in getattr(item, "fixturenames", ())
        if uses_goldens and report.when == "teardown":
            self.ended.append(item.nodeid)
        if not report.failed:
            return
        self.failed.append(item.nodeid)
        if uses_goldens:
            self.cut_short.append(input_of(test_id(item)))

    @property
    def _hidden(self) -> dict[str, Failure]:
        """Tests that saw a failing verdict and did not fail, with the message of that verdict, by case key."""
        return {key: seen for key, seen in self.failing.items() if seen[0] not in self.failed}

    def _outcome(self, nodeid: str) -> str:
        return self.outcomes.get(nodeid, "passed")

    def _advice(self, verdict: Verdict) -> list[str]:
        """Return commands for a case that failed: find the cause, and accept."""
        case, folders = verdict.case, (self.folder.path, self.goldens.folder)
        request = request_of(self.record.requests, case)
        explain = [f"find the cause{to_fill_in(case, request)}: {explain_command(case, *folders, request)}"]
        return [
            *(explain if verdict.state is State.DRIFT and verdict.case.repeatable else []),
            f"if this is right: {accept_command(case.key, *folders)}",
        ]

    @functools.cached_property
    def _quarantine(self) -> Mapping[str, Quarantine]:
        return self.goldens.quarantine(self.today)

    def _quarantine_or_fail(self) -> Mapping[str, Quarantine]:
        try:
            return self._quarantine
        except StorageError as error:
            fail(str(error))

    def _save(self, result: Result) -> Path:
        try:
            self._claim(result)
            return self.folder.save(result)
        except XaiEvalError as error:
            fail(str(error))

    def _claim(self, result: Result) -> None:
        """Claim the report folder; the first process to do so removes the earlier report and writes the record."""
        if self.checked or not self.folder.claim():
            return
        remove_earlier_report(self.folder.path)
        self.folder.save_record(
            dataclasses.replace(_including(self.record, result), planned=len(self.selected), when=now())
        )

    @property
    def _idle(self) -> list[str]:
        """Tests that use goldens and checked no result, because they were skipped or failed before."""
        busy = {nodeid for nodeids in self.checked.values() for nodeid in nodeids}
        return [nodeid for nodeid in self.selected if nodeid not in busy]

    @property
    def worth_a_summary(self) -> bool:
        """Whether any test used goldens."""
        return not self.dry and bool(self.selected or self.checked)

    def handover(self) -> str:
        """Return the state of a worker as JSON text, which pytest-xdist can send to the controller."""
        names = ("partial", "deselected", *_LISTS, "failing", "checked", "known_parts")
        # How the other tests ended, of which there may be thousands, is not needed.
        outcomes = {nodeid: self._outcome(nodeid) for nodeid, _ in self._hidden.values()}
        state = {**{name: getattr(self, name) for name in names}, "outcomes": outcomes}
        return json.dumps({**state, "elsewhere": self.elsewhere[0], "record": dataclasses.asdict(self.record)})

    def merge(self, output: str) -> None:
        """Add the state of a worker to that of the controller."""
        other: Mapping[str, Any] = json.loads(output)
        self.partial |= other["partial"]
        self.elsewhere[0] |= other["elsewhere"]
        self.deselected = max(self.deselected, other["deselected"])  # every worker leaves out the same tests
        self.failing |= {key: (nodeid, message) for key, (nodeid, message) in other["failing"].items()}
        self.outcomes |= other["outcomes"]
        for name in _LISTS:
            setattr(self, name, list(dict.fromkeys((*getattr(self, name), *other[name]))))
        self.record = _joined(self.record, RunRecord(**other["record"]))
        for task, fields in other["known_parts"].items():
            for name, parts in fields.items():
                self.known_parts.setdefault(task, {}).setdefault(name, []).extend(parts)
        for key, nodeids in other["checked"].items():
            self.checked[key] = list(dict.fromkeys((*self.checked.get(key, []), *nodeids)))

    def finish(self, session: pytest.Session) -> list[Failure]:
        """Judge the run as a whole, write the report, and return the failures that no single test has."""
        if self.dry:
            return []
        clashes = [_failure("clash", k, _clash(k, ids)) for k, ids in self.checked.items() if len(ids) > 1]
        hidden = [_failure("hidden", key, self._hidden_message(*seen)) for key, seen in self._hidden.items()]
        elsewhere = [("xai-eval::another_process", _ELSEWHERE)] if self.elsewhere[0] else []
        failures = [*elsewhere, *self._not_measured(session), *clashes, *hidden, *self._unknown_tolerances()]
        try:
            with typed_in(self.called_in):
                return [*failures, *self._judge_all()]
        except StorageError as error:
            return [*failures, ("xai-eval::report", str(error))]
        finally:
            self.folder.release()

    def _hidden_message(self, nodeid: str, message: str) -> str:
        return (
            f"{nodeid} {self._outcome(nodeid)}, although it saw a verdict that fails. To let it fail for a while, put "
            f"the case in quarantine instead.\n{message}"
        )

    def _unknown_tolerances(self) -> list[Failure]:
        """Return a failure for each task with a tolerance for something that none of its results had."""
        if self.partial or self._idle:
            return []
        asked = [(task, each, self.known_parts.get(task)) for task, each in self.tolerances.items()]
        errors = [unknown_tolerance(task, given, known) for task, given, known in asked if known is not None]
        return [("xai-eval::tolerances", f"{self.settings_name}: {error}") for error in errors if error]

    def _judge_all(self) -> list[Failure]:
        if not self.checked:
            return []
        # Remove results of earlier runs: `xai-eval accept --all` would accept them as if they were of this run.
        self.folder.remove_results(keep=self.checked)
        self.folder.save_record(self._whole_record())
        judged = judge_results(self.folder.path, self.goldens, self.policy)
        self._require_all(judged)
        self.judged = judged
        # Here, because it imports matplotlib, and workers of pytest-xdist write no page.
        from xai_eval.report.write import write_report

        self.page = write_report(self.folder.path, judged, self.goldens.folder)
        where = folders_to_accept(judged, self.folder.path, self.goldens.folder)
        report_to_github(judged.verdicts, self.page, where)
        systemic = [_failure("systemic", each.what, line(each.sentence)) for each in judged.run_findings.systemic]
        # Verdicts that no test reported for its own case, so that a run never passes with a verdict that fails.
        lonely = [v for v in judged.verdicts if v.failed and v.case.key not in self.failing]
        alone = [_failure(v.state, v.case.key, line(f"{v.state}: {v.case.key}: {v.sentence}")) for v in lonely]
        return [*alone, *systemic]

    def _whole_record(self) -> RunRecord:
        """Return the record of the run at its end: what was planned, and whether all of it was done."""
        idle = self._idle
        return dataclasses.replace(
            self.record,
            planned=len(self.checked) + len(idle),
            selections=self.record.inputs if self.partial or idle else (*self.record.selections, *self.cut_short),
            when=now(),
            finished=not idle,
            **vars(checkout_of(self.root)),
        )

    def _require_all(self, judged: Judged) -> None:
        """Raise StorageError if a result that was written during the run is no longer there."""
        found = {*judged.results, *judged.broken}
        lost = next((key for key in self.checked if key not in found), None)
        if lost:
            place = self.folder.folder_of(lost) / RESULT_FILE
            raise StorageError(f"{place} cannot be read: it was removed while the tests ran. Run them again.")

    def _not_measured(self, session: pytest.Session) -> list[Failure]:
        if session.shouldfail or session.shouldstop:
            return []
        if self.strict:
            message = "not measured: the test uses goldens, but it ended without checking a result."
            return [(nodeid, message) for nodeid in self._idle if nodeid not in self.failed]
        if self.checked or not self.required or session.testsfailed:
            return []
        message = f"{len(self.required)} tests use goldens, but none of them checked a result: nothing was measured."
        return [("xai-eval::nothing_measured", message)]

    def summary(self) -> list[str]:
        """Lines for the terminal."""
        with typed_in(self.called_in):
            return [*map(line, self._summary())]

    def _summary(self) -> list[str]:
        lines = ["nothing was measured"] if self.judged is None else self._told(self.judged)
        lines += [
            f"{nodeid} {self._outcome(nodeid)}, although its verdict fails" for nodeid, _ in self._hidden.values()
        ]
        lines += self._left_out()
        if self.judged and self.page:
            requests = self.record.requests
            lines += explain_line(self.judged.verdicts, requests, self.folder.path, self.goldens.folder)
            lines += [f"page: {self.page}", *advice_lines(self.judged.run_findings)]
        return lines

    def _told(self, judged: Judged) -> list[str]:
        outcome = head(worst_first(judged.verdicts), judged.run_findings).outcome
        where = folders_to_accept(judged, self.folder.path, self.goldens.folder)
        return [*summary_lines(judged.verdicts, judged.run_findings, where), outcome]

    def _left_out(self) -> list[str]:
        """Say how many tests that use goldens checked nothing, why, and what to do."""
        idle, ended = self._idle, set(self.ended)
        stopped = sum(nodeid not in ended for nodeid in idle)
        none = "Nothing of this run can be accepted"
        told = [
            (self.deselected, "tests that use goldens and were deselected", "They were not measured"),
            (
                stopped,
                "tests that use goldens and did not end, because pytest was stopped",
                f"{none}: run to the end (without -x), or only the tests that you want (-k)",
            ),
            (
                len(idle) - stopped,
                "tests that use goldens but checked no result",
                f"{none}: repair these tests, or run without them (--deselect TEST)",
            ),
        ]
        return [f"{what}: {number}. {advice}" for number, what, advice in told if number]


def is_strict(config: pytest.Config) -> bool:
    """Whether a test that cannot be measured fails; the command line takes precedence over the ini key."""
    strict = config.getoption("--xai-strict")
    return bool(config.getini("xai_strict") if strict is None else strict)


def is_dry(config: pytest.Config) -> bool:
    """Whether pytest was asked to run no test: to collect, to plan, or to set up only."""
    option = config.option
    return bool(option.collectonly or getattr(option, "setuponly", False) or getattr(option, "setupplan", False))


def settings_of(config: pytest.Config) -> Settings:
    """Return the configuration of the tested repository. What is wrong with it ends pytest with one sentence."""
    try:
        return load_settings(config.rootpath, config.getoption("--xai-profile"))
    except XaiEvalError as error:
        raise usage_error(error) from error


def _folder(config: pytest.Config, name: str, settings: Settings, usual: Path) -> Path:
    """Return a folder by its option, by its ini key, or as the configuration file or the default has it.

    That of the option is relative to where pytest was called, that of the ini key to the root.
    """
    given, ini = config.getoption(name), config.getini(name)
    if given:
        return Path(config.invocation_params.dir / given)
    if ini:
        return config.rootpath / str(ini)
    return (settings.file.parent if settings.file else config.rootpath) / usual


def _asks_for_all(config: pytest.Config) -> bool:
    """Whether pytest was called such that it collects all tests of the repository."""
    if any(config.getoption(name, None) for name in _LEAVING_OUT):
        return False
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        return True
    # What the command line names, or else the folder where pytest was called. Names of single tests hold no folder.
    named = [(config.invocation_params.dir / name).resolve() for name in config.args]
    roots = [(config.rootpath / path).resolve() for path in config.getini("testpaths")] or [config.rootpath]
    return all(any(root.is_relative_to(place) for place in named) for root in roots)


def _failure(what: str, of: str, message: str) -> Failure:
    """Return a failure that no single test has: its name and its message."""
    return f"xai-eval::{what}[{line(of)}]", message


def _clash(key: str, nodeids: Sequence[str]) -> str:
    return f"two tests check the case {key}: {' and '.join(sorted(nodeids))}."


def _including(record: RunRecord, result: Result) -> RunRecord:
    """Return the record with the task, model and input of `result` added."""
    case, provenance = result.case, result.provenance
    inputs = (set_name(case),)
    models = (case.model,) if case.model else ()
    own = RunRecord(
        (case.task,),
        models,
        inputs,
        0,
        versions=provenance.versions,
        device=provenance.device,
        precision=provenance.precision,
    )
    return _joined(record, own)


def _joined(record: RunRecord, other: RunRecord) -> RunRecord:
    """Join two records; versions and device are those of the first."""
    first = record if record.tasks else other
    return dataclasses.replace(
        first,
        tasks=tuple(dict.fromkeys((*record.tasks, *other.tasks))),
        models=tuple(dict.fromkeys((*record.models, *other.models))),
        inputs=tuple(dict.fromkeys((*record.inputs, *other.inputs))),
        selections=tuple(dict.fromkeys((*record.selections, *other.selections))),
        requests=_joined_requests(record.requests, other.requests),
    )


def _joined_requests(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Join two collections of requests; names of the second may mean something else in the first."""
    joined = dict(first)
    for request in other.values():
        if request not in joined.values():
            joined[f"{request['task']} {len(joined) + 1}"] = request
    return joined


def _record_properties(item: pytest.Item, verdict: Verdict) -> None:
    properties = {
        "xai_case": verdict.case.key,
        "xai_state": str(verdict.state),
        "xai_severity": verdict.severity.label if verdict.severity else "",
        "xai_verdict": verdict.sentence,
        "xai_unwatched": "; ".join(map(str, verdict.unwatched)),
        "xai_quarantine": str(verdict.quarantine.expires) if verdict.quarantine else "",
    }
    # If a test is repeated, only the properties of the last attempt are kept.
    item.user_properties[:] = [p for p in item.user_properties if p[0] not in properties]
    item.user_properties.extend((name, xml.text(value)) for name, value in properties.items())
