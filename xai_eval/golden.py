"""Where goldens live, and the only two ways to change them: `accept` and `prune`."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.drift import Scope, State, Verdict, judge_all
from xai_eval.errors import StorageError, UsageError, unknown_name
from xai_eval.files import accessible, exists, remove_temporaries, write_files
from xai_eval.history import HISTORY_FILE, Acceptance, acceptance, history_bytes, read_history
from xai_eval.lock import locked
from xai_eval.overall import NOTHING, Overall, Tally, load_noises
from xai_eval.quarantine import read_quarantine
from xai_eval.record import RESULTS_FOLDER, RunRecord, load_cases
from xai_eval.result import Case, Result
from xai_eval.set_aside import set_aside
from xai_eval.stored import open_result

# More than a person looks at one by one.
MANY = 20
# Stand where the name of an input stands, in verdicts on a run that is not whole.
_WHOLE_RUN, _REFERENCE_RUN = "the whole run", "the run that is taken as right"


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

    def store(self, result: Result, reason: str, verdict: Verdict | None = None) -> Path:
        """Make `result` the golden of its case, and add why, and over which verdict, to the case's history."""
        place, condensed = self.folder / result.case.key, result.condensed()
        history = [*read_history(place), acceptance(condensed.digest, reason, verdict)]
        # Together, so that no golden changes without its reason.
        files = {HISTORY_FILE: history_bytes(history), **condensed.files()}
        remove_temporaries(place, files)
        write_files(place, files)
        return place

    def history(self, name: str) -> tuple[str, list[Acceptance]]:
        """Return the key of the case that `name` names, and what was accepted for it, oldest first.

        Raises:
            UsageError: there is no such golden, or several.
            StorageError: its history cannot be read.
        """
        results, broken = self.load_all()
        cases = {key: result.case for key, result in results.items()}
        key = _resolve(name, {**cases, **{each: _case_of_folder(each) for each in broken}})
        return key, read_history(self.folder / key)

    def remove(self, key: str) -> None:
        """Delete one golden."""
        try:
            shutil.rmtree(self.folder / key)
        except OSError as error:
            raise StorageError(f"{self.folder / key} cannot be deleted ({error.strerror or error}).") from error


@dataclass(frozen=True)
class Judged:
    """A run with everything that judging it took and gave.

    Attributes:
        record: what the run set out to do.
        results: what it obtained, by case key.
        goldens: what that was judged by, by case key.
        verdicts: the judgement, on the run itself too where it is not whole.
        broken: keys of results that cannot be read.
        overall: what the run says beside its cases.
    """

    record: RunRecord
    results: Mapping[str, Result]
    goldens: Mapping[str, Result]
    verdicts: Sequence[Verdict]
    broken: Sequence[str] = ()
    overall: Overall = NOTHING

    @property
    def measured(self) -> int:
        """Number of results that the run left, readable or not."""
        return len(self.results) + len(self.broken)

    @property
    def gap(self) -> str:
        """What the run is short of; empty for one that measured all that it planned."""
        return _gap(self.record, self.measured)


def judge_run(results_folder: Path, goldens: Goldens) -> Judged:
    """Judge the run in `results_folder` against goldens.

    A run that is not whole is an error, however well its results compare, and leaves open which goldens are unused.

    Raises:
        InputUnavailable: no run is there.
        StorageError: its record cannot be read.
    """
    record = RunRecord.load(results_folder)
    results, broken = load_cases(results_folder / RESULTS_FOLDER, open_result)
    stored, broken_goldens = goldens.load_all()
    errors = error_verdicts({**broken_goldens, **broken}, results)
    errors = {k: v for k, v in errors.items() if k.split("/")[0] in record.tasks}
    errors.update({f"{record.tasks[0]}/{name}": _failure(record, name, text) for name, text in record.failures.items()})
    tally = Tally(load_noises(goldens.folder, stored))
    verdicts = judge_all(results, stored, errors, record.selections, _scope(record), tally)
    known = {*stored, *broken_goldens, *results, *broken}
    verdicts = set_aside(verdicts, read_quarantine(goldens.folder), known)
    gap = _gap(record, len(results) + len(broken))
    if gap:
        told = [v for v in verdicts if v.state is not State.UNUSED]
        verdicts = [_failure(record, _WHOLE_RUN, f"{gap}: run it again."), *told]
    return Judged(record, results, stored, verdicts, tuple(broken), tally.overall())


def judge_by_run(results_folder: Path, reference_folder: Path) -> Judged:
    """Judge one run by the results of another, which must be whole as well.

    Raises:
        InputUnavailable: one of the two is no run.
        StorageError: one of the records cannot be read.
    """
    record = RunRecord.load(reference_folder)
    judged = judge_run(results_folder, Goldens(reference_folder / RESULTS_FOLDER))
    measured, broken = load_cases(reference_folder / RESULTS_FOLDER, open_result)
    gap = _gap(record, len(measured) + len(broken))
    if not gap:
        return judged
    verdict = _failure(record, _REFERENCE_RUN, f"{gap} in {reference_folder}: run it again.")
    return dataclasses.replace(judged, verdicts=[verdict, *judged.verdicts])


def error_verdicts(errors: Mapping[str, StorageError], results: Mapping[str, Result]) -> dict[str, Verdict]:
    """Return the verdicts on results and goldens that cannot be read, by the key of their case or folder."""
    cases = {key: results[key].case if key in results else _case_of_folder(key) for key in errors}
    return {key: Verdict(cases[key], State.ERROR, reason=str(error)) for key, error in errors.items()}


def accept(
    judged: Judged, goldens: Goldens, keys: Sequence[str], *, everything: bool, reason: str, bulk: bool = False
) -> list[str]:
    """Make results the goldens of their cases, recording who, when, why, and over which verdict.

    Args:
        judged: the run that obtained them.
        goldens: where they go.
        keys: case keys; a key without its hash, or the input's name, is enough where it is unambiguous.
        everything: accept all results of the run instead.
        reason: why this is right; kept beside the golden.
        bulk: more goldens than `MANY` may change at once.

    Returns:
        The keys of the goldens that changed; results that equal their golden are left alone.

    Raises:
        UsageError: under CI, without a reason, without cases, for an unknown case or one whose result cannot be read,
            of an incomplete run, all of a damaged one, or more than `MANY` without `bulk`.
    """
    refuse_under_ci("accepting is refused where CI is set: a person accepts, after looking at the pictures.")
    if not reason.strip():
        raise UsageError('accepting needs a reason: --reason "why the new explanation is right".')
    if everything == bool(keys):
        raise UsageError(
            "name the cases to accept, or --all, not both." if keys else "name a case to accept, or --all."
        )
    if judged.gap:
        raise UsageError(
            f"the run is incomplete ({judged.gap}), so accepting is refused: run it to the end, or run only what can "
            "be measured here."
        )
    if everything:
        _require_readable(judged, "--all")
    chosen = list(judged.results) if everything else [obtained_case(key, judged) for key in keys]
    verdicts = {v.case.key: v for v in judged.verdicts}
    accepted = [key for key in dict.fromkeys(chosen) if _differs(key, verdicts.get(key), judged)]
    if len(accepted) > MANY and not bulk:
        raise UsageError(
            f"{len(accepted)} goldens would change at once, more than {MANY}, and nobody looks at so many one by one: "
            "name those you looked at, or add --bulk."
        )
    with locked(goldens.folder) if accepted else contextlib.nullcontext():
        for key in accepted:
            goldens.store(judged.results[key], reason.strip(), verdicts.get(key))
    return accepted


def refuse_under_ci(sentence: str) -> None:
    """Raise UsageError with `sentence` where CI is set: no machine changes what is kept with the goldens."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise UsageError(sentence)


def obtained_case(name: str, judged: Judged) -> str:
    """Return the key of the result that `name` names; one that cannot be read says why."""
    cases = {key: result.case for key, result in judged.results.items()}
    key = _resolve(name, {**cases, **{each: _case_of_folder(each) for each in judged.broken}})
    if key in judged.broken:
        told = next((v.sentence for v in judged.verdicts if v.case.key == _case_of_folder(key).key), "it is damaged.")
        raise UsageError(f"the result of {key} cannot be read: {told} Run again.")
    return key


def _differs(key: str, verdict: Verdict | None, judged: Judged) -> bool:
    """Whether the golden of a case would say something else, or more, if the result were accepted."""
    if key not in judged.goldens or key in judged.overall.unwatched:
        return True
    return verdict is not None and verdict.state is not State.OK


def unused_goldens(judged: Judged) -> list[str]:
    """Return the keys of goldens that the run should have used and did not.

    Raises:
        UsageError: the run is incomplete or damaged, so that nobody can tell.
    """
    _require_readable(judged, "pruning")
    if judged.gap:
        raise UsageError(f"the run is incomplete ({judged.gap}), so pruning is refused: run it to the end.")
    return [v.case.key for v in judged.verdicts if v.state is State.UNUSED]


def _require_readable(judged: Judged, what: str) -> None:
    if judged.broken:
        raise UsageError(
            f"results of the run cannot be read, so {what} is refused: {', '.join(judged.broken)}. Run again."
        )


def _gap(record: RunRecord, measured: int) -> str:
    if record.finished and not record.failures and measured >= record.planned:
        return ""
    end = "" if record.finished else ", and the run did not finish"
    return f"{measured} of {record.planned} planned cases measured{end}"


def _scope(record: RunRecord) -> set[Scope]:
    return set(itertools.product(record.tasks, record.inputs, record.models))


def _resolve(name: str, cases: Mapping[str, Case]) -> str:
    """Return the key of the case that a person names by its key, without its hash, or by its input.

    Raises:
        UsageError: no case is called so, or several are.
    """
    if name in cases:
        return name
    matches = [key for key, case in cases.items() if name in _names(case)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{name!r} names {len(matches)} cases: {', '.join(matches)}. Give the whole key.")
    pictures = [case.input.split("/", 1)[-1] for case in cases.values()]
    raise unknown_name("case", name, dict.fromkeys([*cases, *pictures]))


def _names(case: Case) -> set[str]:
    """What a person may call a case by: its key or folder, with or without the hash, or the input's name."""
    full = {case.key, case.id, case.input, case.input.split("/", 1)[-1]}
    return full | {name.rpartition("-")[0] for name in (case.key, case.id)}


def _failure(record: RunRecord, name: str, text: str) -> Verdict:
    return Verdict(Case(record.tasks[0], record.models[0], name), State.ERROR, reason=text)


def _case_of_folder(key: str) -> Case:
    """Stand in for a case whose file cannot be read: all that is known of it is its folder."""
    task, _, name = key.partition("/")
    return Case(task, "?", name)
