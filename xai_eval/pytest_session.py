"""What a pytest run knows of goldens: which were checked, with which verdict, and what nobody checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xai_eval.drift import State, Verdict, judge, judge_all, missing
from xai_eval.errors import StorageError
from xai_eval.golden import Goldens
from xai_eval.record import RESULTS_FOLDER, RunRecord, now
from xai_eval.report import write_report
from xai_eval.report.summary import summary_lines
from xai_eval.result import RESULT_FILE, Result

_FULL_RUN = (pytest.Config.ArgsSource.TESTPATHS, pytest.Config.ArgsSource.INVOCATION_DIR)


@dataclass
class GoldenSession:
    """State of one pytest process.

    Attributes:
        goldens: where goldens are.
        report: folder that results and page are written to.
        partial: whether tests with goldens were left out, so that unused goldens cannot be told.
        selected: ids of the tests that use goldens.
        required: those of them whose inputs must be there.
        checked: folder of the saved result and id of the test, by case key.
    """

    goldens: Goldens
    report: Path
    partial: bool = False
    selected: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    checked: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    page: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> GoldenSession:
        """Read options and ini keys; the command line wins."""
        return cls(
            goldens=Goldens(config.rootpath / (config.getoption("--xai-golden") or config.getini("xai_golden"))),
            report=config.rootpath / (config.getoption("--xai-report") or config.getini("xai_report")),
            # A worker of pytest-xdist is always given its tests by name; only its controller knows what was asked.
            partial=not hasattr(config, "workerinput") and config.args_source not in _FULL_RUN,
        )

    def check(self, result: Result, item: pytest.Item) -> tuple[Verdict, str]:
        """Judge one result, keep it for the report, and return the verdict with the message of a failure."""
        key = result.case.key
        if self.checked.setdefault(key, item.nodeid) != item.nodeid:
            pytest.fail(f"two tests check the case {key}: {self.checked[key]} and {item.nodeid}.", pytrace=False)
        folder = result.save(self.report / RESULTS_FOLDER / key)
        verdict = self._judge(result)
        _record_properties(item, verdict)
        # pytest cuts long explanations short, so verdict, measure and path come first.
        advice = f'if this is right: xai-eval accept {key} --reason "..."'
        return verdict, f"{verdict.state}: {key}: {verdict.sentence}\nobtained: {folder}\n{advice}"

    def _judge(self, result: Result) -> Verdict:
        try:
            golden = self.goldens.load(result.case)
        except StorageError as error:
            return Verdict(result.case, State.ERROR, reason=str(error))
        return missing(result.case) if golden is None else judge(result, golden)

    @property
    def _idle(self) -> set[str]:
        """Tests that use goldens and checked nothing: skipped, or failed before."""
        return set(self.selected) - set(self.checked.values())

    @property
    def worth_a_summary(self) -> bool:
        """Whether any test used goldens."""
        return bool(self.selected or self.checked)

    def handover(self) -> str:
        """State of a worker as plain JSON, the only thing that pytest-xdist may be given."""
        state = {name: getattr(self, name) for name in ("partial", "selected", "required", "checked")}
        return json.dumps(state)

    def merge(self, output: str) -> None:
        """Take over a worker's state."""
        other: Mapping[str, Any] = json.loads(output)
        self.partial |= other["partial"]
        self.selected = list(dict.fromkeys((*self.selected, *other["selected"])))
        self.required = list(dict.fromkeys((*self.required, *other["required"])))
        self.checked |= other["checked"]

    def finish(self, session: pytest.Session) -> list[tuple[str, str]]:
        """Judge the run as a whole, write the report, and return the failures that no single test has."""
        results = {key: Result.load(self.report / RESULTS_FOLDER / key) for key in self.checked}
        failures = self._nothing_measured(session)
        if not results:
            return failures
        self._drop_stale_results()
        stored, errors = self.goldens.load_all()
        broken = {k: Verdict(results[k].case, State.ERROR, reason=str(e)) for k, e in errors.items() if k in results}
        verdicts = judge_all(results, stored, broken)
        complete = not self.partial and not self._idle
        self.verdicts = [v for v in verdicts if v.state is not State.UNUSED or complete]
        self._write_report(results, stored)
        unused = [v for v in self.verdicts if v.state is State.UNUSED]
        return [
            *failures,
            *((f"xai-eval::unused[{v.case.key}]", f"unused: {v.case.key}: {v.reason}") for v in unused),
        ]

    def _nothing_measured(self, session: pytest.Session) -> list[tuple[str, str]]:
        excused = session.testsfailed or session.config.option.collectonly
        if self.checked or not self.required or excused:
            return []
        message = f"{len(self.required)} tests use goldens, but none of them checked a result: nothing was measured."
        return [("xai-eval::nothing_measured", message)]

    def _drop_stale_results(self) -> None:
        """Delete results of earlier runs, which `xai-eval accept --all` would take for this one's."""
        for document in (self.report / RESULTS_FOLDER).glob(f"*/*/{RESULT_FILE}"):
            place = document.parent
            if f"{place.parent.name}/{place.name}" not in self.checked:
                shutil.rmtree(place)

    def _write_report(self, results: Mapping[str, Result], stored: Mapping[str, Result]) -> None:
        cases = [r.case for r in results.values()]
        first = next(iter(results.values())).provenance
        record = RunRecord(
            tasks=tuple(dict.fromkeys(c.task for c in cases)),
            models=tuple(dict.fromkeys(c.model for c in cases)),
            inputs=tuple(dict.fromkeys(c.input_set for c in cases)),
            planned=len(self.selected),
            versions=first.versions,
            device=first.device,
            when=now(),
            finished=not self._idle,
        )
        record.save(self.report)
        self.page = write_report(self.report, record, results, stored, self.verdicts)

    def summary(self) -> list[str]:
        """Lines for the terminal."""
        lines = summary_lines(self.verdicts) if self.verdicts else ["nothing was measured"]
        if self._idle:
            lines.append(f"{len(self._idle)} tests that use goldens did not come to check a result")
        return [*lines, f"page: {self.page}"] if self.page else lines


def _record_properties(item: pytest.Item, verdict: Verdict) -> None:
    properties = {
        "xai_case": verdict.case.key,
        "xai_state": str(verdict.state),
        "xai_severity": verdict.severity.label if verdict.severity else "",
        "xai_verdict": verdict.sentence,
    }
    # A test that is tried again keeps one set of properties, that of its last try.
    item.user_properties[:] = [p for p in item.user_properties if p[0] not in properties]
    item.user_properties.extend(properties.items())
