"""Judges a run against goldens, or against another run."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xai_eval.disk.typed import spelled
from xai_eval.errors import StorageError, unknown_name
from xai_eval.freed_memory import keep_freed_memory
from xai_eval.gate.alike_cases import alike_cases
from xai_eval.gate.judge import among, judge, judge_all, missing
from xai_eval.gate.pairing import lone_golden, spellings
from xai_eval.gate.plan_check import missing_tasks, plan_faults
from xai_eval.gate.processes import over
from xai_eval.gate.renamed import only_renamed, renamed_images
from xai_eval.gate.run_findings import NO_FINDINGS, RunFindings, RunFindingsCollector
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.result import Case, Result
from xai_eval.store.goldens import Goldens, case_of_folder
from xai_eval.store.lazy import open_checked, open_result
from xai_eval.store.noise import load_noises
from xai_eval.store.quarantine import QUARANTINE_FILE, Quarantine
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord
from xai_eval.store.upgrade_policy import DEFAULT_POLICY, Policy

# Entries of the quarantine for which near names are looked for: among many goldens that takes long.
_ADVISED = 20
# A verdict on an incomplete run has one of these in place of the name of an input.
_WHOLE_RUN, _REFERENCE_RUN = "the whole run", "the reference run"
# What is said of a case that only one of two compared runs has: nothing is to be accepted or deleted.
_IN_ONE_RUN = {
    State.MISSING: "Only {now} has this case, so there is nothing to compare it with: run it for {was} as well.",
    State.UNUSED: "Only {was} has this case, so there is nothing to compare it with: run it for {now} as well.",
}


@dataclass(frozen=True)
class Judged:
    """A judged run.

    Attributes:
        record: what the run planned, and how it was made.
        results: the results of the run, by case key.
        goldens: the goldens that they were compared with, by case key.
        verdicts: one per case, and one on the run itself if it is incomplete.
        broken: case keys of results that cannot be read.
        run_findings: what only the whole run shows.
        pairs: for each result that was compared with a golden, the case key of that golden, by the key of the result.
    """

    record: RunRecord
    results: Mapping[str, Result]
    goldens: Mapping[str, Result]
    verdicts: Sequence[Verdict]
    broken: Sequence[str] = ()
    run_findings: RunFindings = NO_FINDINGS
    pairs: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> int:
        """Number of results that the run left, readable or not."""
        return len(self.results) + len(self.broken)

    @property
    def gap(self) -> str:
        """What an incomplete run did not measure, as text; empty for a complete run."""
        return _gap(self.record, self.measured)


def judge_run(
    folder: Path, goldens: Goldens, policy: Policy = DEFAULT_POLICY, *, complete: Collection[str] | None = None
) -> Judged:
    """Judge the run in `folder` against goldens. `policy` says what decides after a change that is on record.

    An incomplete run is an error even if all its results match. Its unused goldens are not reported, because they may
    belong to cases that were not measured.

    The record of a run alone cannot tell that a whole task was taken out of it. So a caller who knows that the run
    should be complete says so: `complete` names the tasks that must have results, and every golden must have one, too.
    If it is None, goldens that the run says nothing of are only counted.

    Raises:
        InputUnavailable: no run is there.
        StorageError: its record cannot be read.
    """
    return _with_gap(judge_results(folder, goldens, policy, complete=complete))


def _with_gap(judged: Judged) -> Judged:
    """Add an error if the run is incomplete."""
    if not judged.gap:
        return judged
    short = _failure(judged.record, _WHOLE_RUN, f"{judged.gap}: run it again.")
    return dataclasses.replace(judged, verdicts=[short, *judged.verdicts])


def judge_results(
    folder: Path,
    goldens: Goldens,
    policy: Policy = DEFAULT_POLICY,
    *,
    as_release: bool = False,
    complete: Collection[str] | None = None,
) -> Judged:
    """Judge the results of the run in `folder` as `judge_run` does, but without an error if the run is incomplete.

    pytest uses this, because each test that measured nothing fails by itself. `as_release` asks of the whole run
    whether it is still as good, also where no weights changed on record. `complete` is that of `judge_run`.

    Raises:
        InputUnavailable: no run is there.
        StorageError: its record cannot be read.
    """
    run = RunFolder(folder)
    keep_freed_memory()
    with _garbage_collection_paused():
        with contextlib.suppress(StorageError):
            return _judge(run, goldens.opened(), open_result, policy, as_release, complete)
        # Damaged arrays show only when they are read. Read everything once more, to find out which case is damaged. The
        # error is gone by now, because its traceback would keep what was read in memory.
        with contextlib.suppress(StorageError):
            return _judge(run, goldens.checked(), open_checked, policy, as_release, complete)
        # Another process accepts results at this moment, so that goldens change between two looks at them.
        return _judge(run, goldens, open_checked, policy, as_release, complete)


@contextlib.contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pause the garbage collector, which takes a tenth of the time and finds nothing: all that is read here is kept."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def judge_result(
    result: Result,
    goldens: Goldens,
    entries: Mapping[str, Quarantine],
    policy: Policy = DEFAULT_POLICY,
    stored: Callable[[], Mapping[str, Result]] = dict,
) -> Verdict:
    """Judge one result while its run still goes on.

    Args:
        result: what was obtained.
        goldens: the folder of goldens.
        entries: those of the quarantine, by case key.
        policy: what decides after a change that is on record.
        stored: reads the goldens among which one is looked for if there is none of this name: that of a renamed image,
            or of a model that was replaced.
    """
    golden = None
    try:
        golden = next(filter(None, map(goldens.load, spellings(result.case))), None) or lone_golden(result, stored())
        verdict = missing(result.case) if golden is None else _judged_alone(result, golden, goldens, policy)
    except StorageError as error:
        verdict = Verdict(result.case, State.ERROR, reason=str(error))
    pair = {} if golden is None else {result.case.key: golden.case.key}
    known = {} if golden is None else {golden.case.key: golden}
    entry = following(entries, pair, {result.case.key: result}, known).get(result.case.key)
    return dataclasses.replace(verdict, quarantine=entry)


def _judged_alone(result: Result, golden: Result, goldens: Goldens, policy: Policy) -> Verdict:
    key = golden.case.key
    return judge(result, golden.in_memory(), policy, noise=load_noises(goldens.folder, [key]).noises.get(key))


def judge_by_run(folder: Path, reference_folder: Path, policy: Policy = DEFAULT_POLICY) -> Judged:
    """Judge one run against the results of another, also as a whole. An incomplete reference run is an error, too.

    Raises:
        InputUnavailable: one of the two is no run.
        StorageError: one of the records cannot be read.
    """
    reference = RunFolder(reference_folder)
    record = reference.record()
    judged = _with_gap(judge_results(folder, Goldens(reference.results, open_result), policy, as_release=True))
    judged = _between_runs(judged, folder, reference_folder)
    gap = _gap(record, reference.measured())
    if not gap:
        return judged
    verdict = _failure(record, _REFERENCE_RUN, f"{gap} in {reference_folder}: run it again.")
    return dataclasses.replace(judged, verdicts=[verdict, *judged.verdicts])


def _between_runs(judged: Judged, folder: Path, reference: Path) -> Judged:
    """Say of cases that only one of two runs has what fits two runs, in place of what fits goldens."""
    verdicts = [
        dataclasses.replace(each, reason=_IN_ONE_RUN[each.state].format(now=folder, was=reference))
        if each.state in _IN_ONE_RUN
        else each
        for each in judged.verdicts
    ]
    findings = dataclasses.replace(judged.run_findings, reference=str(reference))
    return dataclasses.replace(judged, verdicts=verdicts, run_findings=findings)


def _judge(
    run: RunFolder,
    goldens: Goldens,
    read: Callable[[Path], Result],
    policy: Policy,
    as_release: bool,
    complete: Collection[str] | None,
) -> Judged:
    record = run.record()
    results, broken = run.load(read, over)
    tasks = None if complete is not None else _tasks(record, results, broken)
    stored, broken_goldens = goldens.load_all(tasks, over)
    outside = {key for key in goldens.case_keys() if _task_of(key) not in tasks} if tasks is not None else set[str]()
    noise = load_noises(goldens.folder, stored, over)
    collector = RunFindingsCollector(noise, as_release=as_release)
    measured = len(results) + len(broken)
    errors = {
        **_errors(record, results, broken, broken_goldens),
        **_plan_errors(record, results, measured, complete or ()),
        **_alike(record, results, stored),
    }
    whole = complete is not None
    verdicts = judge_all(results, stored, errors, record.selections, collector, policy, noise.noises, complete=whole)
    if _gap(record, measured):
        verdicts = [each for each in verdicts if each.state is not State.UNUSED]
    known = {*stored, *broken_goldens, *results, *broken, *outside}
    entries = following(goldens.quarantine(), collector.pairs, results, stored)
    verdicts = set_aside(verdicts, entries, known)
    alone = [stored[key].case for key in stored.keys() - {*collector.pairs.values(), *(v.case.key for v in verdicts)}]
    renamed = renamed_images(collector.pairs, results, stored)
    not_tried = Counter(case.task for case in alone if not _left_out(record, case)) + Counter(map(_task_of, outside))
    findings = dataclasses.replace(
        collector.findings(),
        renamed=renamed,
        left_out=len(alone) + len(outside) - not_tried.total(),
        not_tried=dict(sorted(not_tried.items())),
    )
    return Judged(record, results, stored, verdicts, tuple(broken), findings, collector.pairs)


def _tasks(record: RunRecord, results: Mapping[str, Result], broken: Mapping[str, StorageError]) -> set[str]:
    """Return the tasks that a run is about: goldens of others are counted, but not read."""
    return {*record.tasks, *map(_task_of, results), *map(_task_of, broken)}


def _task_of(key: str) -> str:
    return key.partition("/")[0]


def _left_out(record: RunRecord, case: Case) -> bool:
    return case.task in record.tasks and among(case, record.selections)


def _errors(
    record: RunRecord,
    results: Mapping[str, Result],
    broken: Mapping[str, StorageError],
    broken_goldens: Mapping[str, StorageError],
) -> dict[str, Verdict]:
    """Return the verdicts on files that cannot be read, and on inputs that the run could not measure.

    A damaged golden without a result is no error if the run used only a part of every input set, because the golden may
    belong to the rest.
    """
    tasks = () if set(record.inputs) <= set(record.selections) else record.tasks
    concerned = {k: error for k, error in broken_goldens.items() if k in results or _task_of(k) in tasks}
    errors = error_verdicts({**concerned, **broken}, results)
    failed = {f"{record.tasks[0]}/{name}": _failure(record, name, text) for name, text in record.failures.items()}
    return {**errors, **failed}


def _plan_errors(
    record: RunRecord, results: Mapping[str, Result], measured: int, complete: Collection[str]
) -> dict[str, Verdict]:
    """Return an error for each contradiction between the record and the results; its key is that of no case."""
    faults = [*plan_faults(record, results, measured), *missing_tasks(results, complete)]
    task = next(iter(record.tasks), "run")
    case = Case(task, next(iter(record.models), ""), _WHOLE_RUN)
    return {fault: Verdict(case, State.ERROR, reason=fault) for fault in faults}


def _alike(record: RunRecord, results: Mapping[str, Result], goldens: Mapping[str, Result]) -> dict[str, Verdict]:
    """Return an error for every case of the run's tasks that looks the same as another one."""
    cases = [golden.case for golden in goldens.values() if golden.case.task in record.tasks]
    found = alike_cases(cases, "goldens") | alike_cases((each.case for each in results.values()), "results")
    known = {key: each.case for key, each in {**goldens, **results}.items()}
    return {key: Verdict(known[key], State.ERROR, reason=sentence) for key, sentence in found.items()}


def error_verdicts(errors: Mapping[str, StorageError], results: Mapping[str, Result]) -> dict[str, Verdict]:
    """Return the verdicts on results and goldens that cannot be read, by the key of their case or folder."""
    cases = {key: results[key].case if key in results else case_of_folder(key) for key in errors}
    return {key: Verdict(cases[key], State.ERROR, reason=str(error)) for key, error in errors.items()}


def _gap(record: RunRecord, measured: int) -> str:
    if record.finished and not record.failures and measured >= record.planned:
        return ""
    end = "" if record.finished else ", and the run did not finish"
    return f"{measured} of {record.planned} planned cases measured{end}"


def _failure(record: RunRecord, name: str, text: str) -> Verdict:
    model = record.models[0] if record.models else ""
    return Verdict(Case(record.tasks[0], model, name), State.ERROR, reason=text)


def following(
    entries: Mapping[str, Quarantine],
    pairs: Mapping[str, str],
    results: Mapping[str, Result],
    goldens: Mapping[str, Result],
) -> dict[str, Quarantine]:
    """Return the entries of the quarantine, and for renamed images also those of their earlier names.

    Args:
        entries: by case key.
        pairs: the case key of the golden that a result was compared with, by the case key of the result.
        results: of the run, by case key.
        goldens: by case key.
    """
    renamed = {
        key: dataclasses.replace(entries[former], entry=former)
        for key, former in pairs.items()
        if former in entries and key != former and only_renamed(results[key], goldens[former])
    }
    return {**renamed, **entries}


def set_aside(verdicts: Sequence[Verdict], entries: Mapping[str, Quarantine], known: Collection[str]) -> list[Verdict]:
    """Add quarantine entries to the verdicts on their cases, and one error for each entry that names no case.

    Args:
        verdicts: of a whole run.
        entries: by case key.
        known: keys of all goldens and of all results of the run.
    """
    marked = [dataclasses.replace(each, quarantine=entries.get(each.case.key)) for each in verdicts]
    strangers = [key for key in entries if key not in known]
    return [*(_stranger(key, known if at < _ADVISED else ()) for at, key in enumerate(strangers)), *marked]


def _stranger(key: str, known: Collection[str]) -> Verdict:
    """Return the error for an entry that names no case; with the nearest of the names that are `known`, if any is."""
    task, _, name = key.partition("/")
    advice = f": {unknown_name('case', key, sorted(known))}" if known else f", {spelled(key)}."
    reason = (
        f"{QUARANTINE_FILE} names a case that has neither a golden nor a result in this run{advice} "
        "Correct the key, or delete the entry."
    )
    return Verdict(Case(task, "?", name or key), State.ERROR, reason=reason)
