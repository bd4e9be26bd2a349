"""Where goldens live, and the only two ways to change them: `accept` and `prune`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.drift import State, Verdict, judge_all
from xai_eval.errors import StorageError, UsageError, unknown_name
from xai_eval.files import accessible, exists, read_json, write_file
from xai_eval.record import RESULTS_FOLDER, RunRecord, load_cases, now
from xai_eval.result import Case, Result

HISTORY_FILE = "accepted.json"


@dataclass(frozen=True)
class Goldens:
    """A folder of goldens, one folder a case: `<folder>/<task>/<case id>/`."""

    folder: Path

    def load(self, case: Case) -> Result | None:
        """Return the golden of `case`, None if there is none. Raises StorageError for one that cannot be read."""
        place = self.folder / case.key
        with accessible(place):
            present = exists(place)
        return Result.load(place) if present else None

    def load_all(self) -> tuple[dict[str, Result], dict[str, StorageError]]:
        """Return every golden by case key, and the errors of those that cannot be read."""
        return load_cases(self.folder)

    def store(self, result: Result, reason: str) -> Path:
        """Make `result` the golden of its case and add the reason to the case's history."""
        place = self.folder / result.case.key
        history = read_history(place)
        entry = {"when": now(), "reason": reason, "result": result.condensed().digest}
        result.condensed().save(place)
        write_file(place / HISTORY_FILE, f"{json.dumps([*history, entry], indent=1)}\n".encode())
        return place

    def remove(self, key: str) -> None:
        """Delete one golden."""
        try:
            shutil.rmtree(self.folder / key)
        except OSError as error:
            raise StorageError(f"{self.folder / key} cannot be deleted ({error.strerror}).") from error


def read_history(place: Path) -> list[dict[str, str]]:
    """Return what was accepted for a case, oldest first; empty for a case that never was."""
    path = place / HISTORY_FILE
    try:
        with accessible(path):
            history = read_json(path) if exists(path) else []
    except ValueError as error:
        raise StorageError(f"{path} is truncated or no JSON ({error}). Restore it from version control.") from error
    if not isinstance(history, list):
        raise StorageError(f"{path} holds no list. Restore it from version control.")
    return history


@dataclass(frozen=True)
class Judged:
    """A run with everything that judging it took and gave."""

    record: RunRecord
    results: Mapping[str, Result]
    goldens: Mapping[str, Result]
    verdicts: Sequence[Verdict]


def judge_run(results_folder: Path, goldens: Goldens) -> Judged:
    """Judge the run in `results_folder` against goldens.

    Raises:
        InputUnavailable: no run is there.
        StorageError: its record cannot be read.
    """
    record = RunRecord.load(results_folder)
    results, broken_results = load_cases(results_folder / RESULTS_FOLDER)
    stored, broken_goldens = goldens.load_all()
    errors = {key: _error(key, e, results) for key, e in (*broken_goldens.items(), *broken_results.items())}
    errors = {k: v for k, v in errors.items() if k.split("/")[0] in record.tasks}
    errors.update({f"{record.tasks[0]}/{name}": _failure(record, name, text) for name, text in record.failures.items()})
    return Judged(record, results, stored, judge_all(results, stored, errors, record.selections))


def accept(judged: Judged, goldens: Goldens, keys: Sequence[str], *, everything: bool, reason: str) -> list[str]:
    """Make results the goldens of their cases, recording why.

    Args:
        judged: the run that obtained them.
        goldens: where they go.
        keys: case keys; a key without its hash, or the input's name, is enough where it is unambiguous.
        everything: accept all results of the run instead.
        reason: why this is right; kept beside the golden.

    Returns:
        The keys of the goldens that changed; results that equal their golden are left alone.

    Raises:
        UsageError: under CI, without a reason, without cases, for an unknown case or an incomplete run.
    """
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise UsageError("accepting is refused where CI is set: a person accepts, after looking at the pictures.")
    if not reason.strip():
        raise UsageError('accepting needs a reason: --reason "why the new explanation is right".')
    if everything == bool(keys):
        raise UsageError(
            "name the cases to accept, or --all, not both." if keys else "name a case to accept, or --all."
        )
    if everything and (not judged.record.finished or judged.record.failures):
        raise UsageError("the run is incomplete, so --all is refused: run it to the end, or name single cases.")
    chosen = list(judged.results) if everything else [_resolve(key, judged.results) for key in keys]
    changed = {v.case.key for v in judged.verdicts if v.state is not State.OK}
    changed |= {k for k in chosen if k not in judged.goldens}
    accepted = [key for key in chosen if key in changed]
    for key in accepted:
        goldens.store(judged.results[key], reason.strip())
    return accepted


def unused_goldens(judged: Judged) -> list[str]:
    """Return the keys of goldens that the run should have used and did not."""
    return [v.case.key for v in judged.verdicts if v.state is State.UNUSED]


def _resolve(key: str, results: Mapping[str, Result]) -> str:
    if key in results:
        return key
    matches = [k for k, r in results.items() if key in (r.case.id, r.case.input, r.case.input.split("/", 1)[-1])]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{key!r} names {len(matches)} cases: {', '.join(matches)}. Give the whole key.")
    raise unknown_name("case", key, results)


def _error(key: str, error: StorageError, results: Mapping[str, Result]) -> Verdict:
    case = results[key].case if key in results else _case_of_folder(key)
    return Verdict(case, State.ERROR, reason=str(error))


def _failure(record: RunRecord, name: str, text: str) -> Verdict:
    return Verdict(Case(record.tasks[0], record.models[0], name), State.ERROR, reason=text)


def _case_of_folder(key: str) -> Case:
    """Stand in for a case whose file cannot be read: all that is known of it is its folder."""
    task, _, name = key.partition("/")
    return Case(task, "?", name)
