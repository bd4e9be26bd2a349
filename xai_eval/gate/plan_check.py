"""Checks the record of a run and its results against each other: a record that plans less must hide nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from xai_eval.result.result import Result
from xai_eval.store.runs import RUN_FILE, RunRecord


def plan_faults(record: RunRecord, results: Mapping[str, Result], measured: int) -> list[str]:
    """Return one sentence per contradiction between the record of a run and what is in its folder.

    Args:
        record: what the run says that it planned.
        results: its readable results, by case key.
        measured: how many results it left, readable or not.
    """
    advice = "The record, or the results, were changed after the run: run again."
    return [f"{RUN_FILE} {fault}. {advice}" for fault in _faults(record, results, measured)]


def missing_tasks(results: Mapping[str, Result], tasks: Collection[str]) -> list[str]:
    """Return one sentence per task that must have results and has none; `results` by case key."""
    made = {result.case.task for result in results.values()}
    return [
        f"There is no result of the task {task}, which the suite of the configuration file names. Run the whole suite "
        "again with `xai-eval run`."
        for task in sorted(set(tasks) - made)
    ]


def _faults(record: RunRecord, results: Mapping[str, Result], measured: int) -> Iterator[str]:
    if measured > record.planned:
        yield f"plans {record.planned} cases, but the run left {measured} results"
    made = {result.case.task for result in results.values()}
    asked = {str(request.get("task", name)) for name, request in record.requests.items()}
    for task in sorted((made | asked) - set(record.tasks)):
        where = "there are results of it" if task in made else "it was asked for"
        yield f"does not name the task {task}, but {where}"
    complete = record.finished and not record.failures and measured == len(results)
    for task in sorted(set(record.tasks) - made) if complete and results else ():
        yield f"names the task {task} and says that all was measured, but there is no result of it"
