"""Judges a run by goldens, or by another run."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import StorageError, unknown_name
from xai_eval.gate.judge import judge_all
from xai_eval.gate.pairing import Scope
from xai_eval.gate.verdict import State, Verdict
from xai_eval.gate.whole_run import NOTHING, Overall, Tally
from xai_eval.result.result import Case, Result
from xai_eval.store.goldens import Goldens, case_of_folder
from xai_eval.store.lazy import open_result, open_whole
from xai_eval.store.noise import load_noises
from xai_eval.store.quarantine import QUARANTINE_FILE, Quarantine, read_quarantine
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord, load_cases

# Stand where the name of an input stands, in verdicts on a run that is not whole.
_WHOLE_RUN, _REFERENCE_RUN = "the whole run", "the run that is taken as right"


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
    with _nothing_collected():
        try:
            return _judge(record, results_folder, goldens, open_result)
        except StorageError:
            # Damaged arrays, or a field that is not what its kind stores, show only where they are read: find whose.
            return _judge(record, results_folder, dataclasses.replace(goldens, read=open_whole), open_whole)


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """Pause the garbage collector: what is read here stays, and looking through it takes a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _judge(record: RunRecord, results_folder: Path, goldens: Goldens, read: Callable[[Path], Result]) -> Judged:
    results, broken = load_cases(results_folder / RESULTS_FOLDER, read)
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
    judged = judge_run(results_folder, Goldens(reference_folder / RESULTS_FOLDER, open_result))
    measured, broken = load_cases(reference_folder / RESULTS_FOLDER, open_result)
    gap = _gap(record, len(measured) + len(broken))
    if not gap:
        return judged
    verdict = _failure(record, _REFERENCE_RUN, f"{gap} in {reference_folder}: run it again.")
    return dataclasses.replace(judged, verdicts=[verdict, *judged.verdicts])


def error_verdicts(errors: Mapping[str, StorageError], results: Mapping[str, Result]) -> dict[str, Verdict]:
    """Return the verdicts on results and goldens that cannot be read, by the key of their case or folder."""
    cases = {key: results[key].case if key in results else case_of_folder(key) for key in errors}
    return {key: Verdict(cases[key], State.ERROR, reason=str(error)) for key, error in errors.items()}


def _gap(record: RunRecord, measured: int) -> str:
    if record.finished and not record.failures and measured >= record.planned:
        return ""
    end = "" if record.finished else ", and the run did not finish"
    return f"{measured} of {record.planned} planned cases measured{end}"


def _scope(record: RunRecord) -> set[Scope]:
    return set(itertools.product(record.tasks, record.inputs, record.models))


def _failure(record: RunRecord, name: str, text: str) -> Verdict:
    return Verdict(Case(record.tasks[0], record.models[0], name), State.ERROR, reason=text)


def set_aside(verdicts: Sequence[Verdict], entries: Mapping[str, Quarantine], known: Collection[str]) -> list[Verdict]:
    """Mark the verdicts of cases in quarantine, and put in front an error for each entry that names no case.

    Args:
        verdicts: of a whole run.
        entries: by case key.
        known: keys of all goldens and of all results of the run.
    """
    marked = [dataclasses.replace(each, quarantine=entries.get(each.case.key)) for each in verdicts]
    return [*(_stranger(key, known) for key in entries if key not in known), *marked]


def _stranger(key: str, known: Collection[str]) -> Verdict:
    task, _, name = key.partition("/")
    advice = unknown_name("case", key, sorted(known))
    reason = f"{QUARANTINE_FILE} sets aside what is neither a golden nor a result of this run: {advice}"
    return Verdict(Case(task, "?", name or key), State.ERROR, reason=reason)
