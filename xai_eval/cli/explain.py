"""What `xai-eval explain-drift` does: find the cause of a drift by restoring one factor at a time."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from xai_eval.cli.task_options import LAYER, given_layers, given_parameters, refuse_others
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.gate.accept import obtained_case
from xai_eval.gate.changes import changes_between
from xai_eval.gate.factors import Trial, conclusion, factors, fixed_changes, judge_as_if, table
from xai_eval.gate.judge_run import Judged, judge_run
from xai_eval.gate.requests import request_of
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.precisions import DEFAULT
from xai_eval.result.result import Result
from xai_eval.result.tolerances import with_tolerances
from xai_eval.settings.settings import Entry, Settings
from xai_eval.store.goldens import Goldens

if TYPE_CHECKING:
    from collections.abc import Callable

    from xai_eval.inputs.models.named_programs import Program
    from xai_eval.run.restore_factors import RunRequest
    from xai_eval.tasks import Task

    # Computes the case with the named factors restored.
    Compute = Callable[[Sequence[str]], Result]


def explain_drift(options: argparse.Namespace, goldens: Goldens) -> list[str]:
    """Compute a drifted case again, restoring one factor at a time; return lines of text that name the cause.

    Raises:
        UsageError: no such case, no golden for it, or it cannot be computed as it was asked for.
        InputUnavailable: its model or image is missing.
        ModelMisbehaves: its model raises, or returns what cannot be explained.
    """
    from xai_eval.inputs.models.named_programs import only_programs
    from xai_eval.run.restore_factors import compute_with_restored
    from xai_eval.tasks import find_task

    policy = options.settings.policy
    judged = judge_run(options.results, goldens, policy)
    obtained = judged.results[obtained_case(options.case, judged)]
    golden = _golden_of(obtained, judged)
    _require_repeatable(obtained, golden)
    restored = partial(compute_with_restored, _run_request(options, judged, obtained), obtained.case, golden)
    tolerances = options.settings.tolerances.get(obtained.case.task, {})

    def compute(names: Sequence[str]) -> Result:
        return with_tolerances(restored(names), tolerances)

    with only_programs(_named_programs(options, find_task(obtained.case.task))):
        trials = list(_trials(compute, partial(judge_as_if, golden=golden, policy=policy), factors(obtained, golden)))
    return [obtained.case.key, *table(trials), conclusion(trials, fixed_changes(obtained, golden))]


def _trials(compute: Compute, against: Callable[[Result], Verdict], found: Sequence[str]) -> Iterator[Trial]:
    yield Trial((), against(compute(())))
    possible = []
    for factor in found:
        trial = _trial(compute, against, (factor,))
        possible += [factor] if trial.verdict else []
        yield trial
    if len(possible) > 1:
        yield _trial(compute, against, possible)


def _trial(compute: Compute, against: Callable[[Result], Verdict], restored: Sequence[str]) -> Trial:
    try:
        return Trial(tuple(restored), against(compute(restored)))
    except (UsageError, InputUnavailable) as error:
        return Trial(tuple(restored), None, str(error).rstrip("."))


def _golden_of(obtained: Result, judged: Judged) -> Result:
    key = obtained.case.key
    if key in judged.pairs:
        return judged.goldens[judged.pairs[key]].in_memory()
    error = next((v.reason for v in judged.verdicts if v.case.key == key and v.state is State.ERROR), "")
    if error:
        raise UsageError(f"{key} was not compared with its golden, so nothing can be explained: {error}")
    raise UsageError(f"there is no golden for {key}, so nothing can have drifted. Accept the case first.")


def _require_repeatable(obtained: Result, golden: Result) -> None:
    """Raise UsageError for a case that a test computed itself, with what is known of the cause."""
    if obtained.case.repeatable:
        return
    changed = "; ".join(map(str, changes_between(obtained, golden)))
    raise UsageError(
        f"{obtained.case.key} was computed by a test ({obtained.case.input}) and names no model, so it cannot be "
        f"computed again here. Changed since the golden: {changed or 'nothing that is recorded'}. To find the cause, "
        "run the test in an environment with the former versions, or with the former code."
    )


def _run_request(options: argparse.Namespace, judged: Judged, obtained: Result) -> RunRequest:
    """How the run asked for the case, with what is given now in place of it."""
    from xai_eval.run.restore_factors import RunRequest
    from xai_eval.tasks import find_task, load_task_file

    for file in (*options.settings.task_files, *options.task_files):
        load_task_file(file)
    task = obtained.case.task
    found = find_task(task)
    refuse_others(options, [found])
    request = request_of(judged.record.requests, obtained.case) or {}
    return RunRequest(
        task,
        options.model or request.get("model"),
        options.images or request.get("images"),
        options.device or request.get("device", "auto"),
        options.precision or request.get("precision", DEFAULT),
        {**request.get("params", {}), **_parameters(options, found)},
        options.old_model,
    )


def _named_programs(options: argparse.Namespace, task: Task) -> list[Program]:
    """Return what was named on the command line, in the configuration file, or as a default in the task's code."""
    from xai_eval.inputs.models.named_programs import programs_in
    from xai_eval.run.suite import completed

    settings: Settings = options.settings
    entries = [completed(each, settings) for each in [*settings.suite, Entry(task.name)]]
    defaults = [each.default for each in task.parameters.values()]
    given = [options.model, options.old_model, _parameters(options, task), task.model, *defaults]
    return list(programs_in([*given, *([each.models, each.params] for each in entries)]))


def _parameters(options: argparse.Namespace, task: Task) -> dict[str, Any]:
    layers = given_layers(options, task)
    if len(layers) > 1:
        raise UsageError(f"--layer is given {len(layers)} times, but a case has one layer. Give it once.")
    return {**given_parameters(options, task), **({LAYER: layers[0]} if layers else {})}
