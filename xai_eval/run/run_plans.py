"""`run` computes the results of plans, and writes each one to disk when it is done."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xai_eval.errors import XaiEvalError, error_line
from xai_eval.result.result import Result
from xai_eval.run.kept import NOTHING_KEPT, Kept
from xai_eval.run.plan import Plan
from xai_eval.store.checkout import checkout_of
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord, now

Progress = Callable[[Iterator[Result], int, str], Iterator[Result]]


def run(
    plans: Sequence[Plan],
    folder: RunFolder,
    progress: Progress,
    kept: Kept = NOTHING_KEPT,
    tell: Callable[[str], None] | None = None,
) -> RunRecord:
    """Evaluate `plans` and write every result into `folder` as soon as it is computed.

    The results of the previous run in the same folder are replaced, except for those in `kept`, which are not computed
    again. If a plan fails, the record is marked as failed and unfinished, the results so far are kept, and the error is
    raised again. If `tell` is given, it is called with the cost of each task that will take long.

    Raises:
        StorageError: the folder cannot be written, or it has a `results` folder that no run of xai_eval wrote.
    """
    started = time.monotonic()
    record = planned_record(plans, kept)
    folder.remove_results(keep=kept.keys)
    folder.save_record(record)
    try:
        for position in _by_model(plans):
            for result in _computed(plans[position], kept.of(position), folder, progress, tell):
                made = result.provenance
                record = dataclasses.replace(
                    record, versions=made.versions, device=made.device, precision=made.precision
                )
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = str(error) if isinstance(error, XaiEvalError) else error_line(error)
        folder.save_record(dataclasses.replace(record, failures={plans[position].inputs: reason}))
        raise
    record = dataclasses.replace(record, finished=True, seconds=round(time.monotonic() - started, 1))
    folder.save_record(record)
    return record


def _computed(
    plan: Plan,
    keys: Collection[str],
    folder: RunFolder,
    progress: Progress,
    tell: Callable[[str], None] | None,
) -> Iterator[Result]:
    """Yield the results of a plan that are not kept, after each was written. The model is let go at the end."""

    def read(key: str) -> Result:
        return Result.load(folder.folder_of(key))

    each = plan.loaded().without(keys, read)
    results = each.results if tell is None else each.with_forecast(tell)
    for result in progress(results, each.count, each.task):
        folder.save(result, each.made_from(result))
        yield result


def _by_model(plans: Sequence[Plan]) -> list[int]:
    """Return the positions of the plans, those with one model after each other, so that each is loaded once."""
    first = {plan.model: position for position, plan in reversed(list(enumerate(plans)))}
    return sorted(range(len(plans)), key=lambda position: first[plans[position].model])


def planned_record(plans: Sequence[Plan], kept: Kept) -> RunRecord:
    """Return the record of a run before anything is computed; `kept` are results of an interrupted run."""
    return RunRecord(
        tasks=tuple(dict.fromkeys(p.task for p in plans)),
        models=tuple(dict.fromkeys(p.model for p in plans)),
        inputs=tuple(dict.fromkeys(p.inputs for p in plans)),
        planned=sum(p.count for p in plans),
        selections=_selections(plans),
        requests=_numbered(plans),
        versions=kept.provenance.versions if kept.provenance else {"python": platform.python_version()},
        device=kept.provenance.device if kept.provenance else "cpu",
        precision=kept.provenance.precision if kept.provenance else {},
        when=now(),
        **vars(checkout_of(Path.cwd())),
    )


def _selections(plans: Sequence[Plan]) -> tuple[str, ...]:
    """Return the image sets of which the run used only a part.

    A set that one entry of a suite uses whole is none, although another entry names a single image of it: else nobody
    would be told of the golden of an image that was removed from the set.
    """
    whole = {plan.inputs for plan in plans if plan.complete}
    return tuple(dict.fromkeys(plan.inputs for plan in plans if plan.inputs not in whole))


def _numbered(plans: Sequence[Plan]) -> dict[str, Mapping[str, Any]]:
    """Return the requests by task. If a task is asked for several times, its requests are numbered and say for what."""
    several = Counter(each.task for each in plans)
    requests: dict[str, Mapping[str, Any]] = {}
    for number, each in enumerate(plans, 1):
        names = {"task": each.task, "model_name": each.model, "inputs": each.inputs}
        alone = several[each.task] == 1
        requests[each.task if alone else f"{each.task} {number}"] = {**each.request, **({} if alone else names)}
    return requests
