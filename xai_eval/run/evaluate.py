"""Run tasks: inputs in, Results out, and onto disk as they come."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, error_line
from xai_eval.result.result import Result
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord, now
from xai_eval.tasks import Results, find_task

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.tasks import Task

Progress = Callable[[Iterator[Result], int, str], Iterator[Result]]


@dataclass(frozen=True)
class Plan:
    """One task with everything loaded and checked: what is left can fail only by computing.

    Attributes:
        task: name of the task.
        model: spec of the model.
        inputs: name of the image set or probe set.
        complete: false where it is a selection, such as one file of a folder.
        count: how many results there will be.
        results: computes as it is iterated, once.
        request: how it was asked for, as JSON values.
    """

    task: str
    model: str
    inputs: str
    complete: bool
    count: int
    results: Iterator[Result]
    request: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def evaluate(
    task: str,
    *,
    model: str | Classifier | None = None,
    images: str | os.PathLike[str] | ImageSet | ProbeSet | None = None,
    device: str = "auto",
    **params: Any,
) -> list[Result]:
    """Evaluate a task and return its results.

    Args:
        task: name of a registered task, such as `cams`.
        model: model spec or Classifier, whose parts are in the mode afterwards that they were in (training or not);
            the task's bundled default if None.
        images: image spec, path or ImageSet (probe spec, path or ProbeSet for `dissection`); the task's bundled default
            if None.
        device: `auto`, `cpu`, `cuda`, ...
        **params: parameters of the task, as docs/tasks.md and `xai-eval list` name them.

    Returns:
        One Result an image, and one for the whole set from tasks that sum up; from `dissection`, one a model and one
        that compares them.

    Raises:
        UsageError: an unknown name of any kind, or a parameter out of range.
        InputUnavailable: a model or image is missing or unreadable.
        ModelMisbehaves: the model raises, or returns what cannot be explained.
        MetricMisbehaves: a metric of the task misses its known answer.
    """
    with _modes_kept(model):
        return list(plan(task, model=model, images=images, device=device, params=params).results)


def plan(
    task: str,
    *,
    model: str | Classifier | None = None,
    images: str | os.PathLike[str] | ImageSet | ProbeSet | None = None,
    device: str = "auto",
    params: Mapping[str, Any] | None = None,
) -> Plan:
    """Load what `evaluate` needs, so that bad input is reported before anything is computed or overwritten."""
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.models import load_model
    from xai_eval.tasks.reference.check import check_metrics

    found = find_task(task)
    loaded = load_inputs(found, found.images if images is None else images)
    classifier = load_model(found.model if model is None else model, device=choose_device(device))
    results = found(classifier, loaded, **(params or {}))
    check_metrics(found.metrics)
    complete = not isinstance(loaded, ImageSet) or loaded.complete
    count = results.count if isinstance(results, Results) else len(loaded) + found.whole_set
    request = {"model": _spec(model), "images": _spec(images), "device": device, "params": dict(params or {})}
    if found.file is not None:
        request["task_file"] = found.file
    return Plan(found.name, classifier.name, loaded.name, complete, count, iter(results), request)


def _spec(given: object) -> str | None:
    """What was given by name or path; None for the default, and for what was loaded already."""
    return os.fspath(given) if isinstance(given, str | os.PathLike) else None


def load_inputs(task: Task, images: str | os.PathLike[str] | ImageSet | ProbeSet) -> ImageSet | ProbeSet:
    """Load the images or the probe set of a task, given by name, by path or loaded already.

    Raises:
        UsageError: the task takes the other kind.
        InputUnavailable: there are no images, or they cannot be read.
    """
    from xai_eval.inputs.images.images import load_images
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.inputs.probes.probes import load_probe

    wanted, other = (ProbeSet, ImageSet) if task.probe else (ImageSet, ProbeSet)
    if isinstance(images, other):
        raise UsageError(f"task {task.name} takes a {wanted.__name__}, got a {other.__name__}: give a spec or a path.")
    load: Callable[[Any], ImageSet | ProbeSet] = load_probe if task.probe else load_images
    loaded = images if isinstance(images, ImageSet | ProbeSet) else load(images)
    if not len(loaded):
        raise InputUnavailable(f"{loaded.name} holds no images: nothing would be measured.")
    return loaded


def run(plans: Sequence[Plan], folder: RunFolder, progress: Progress) -> RunRecord:
    """Evaluate `plans` and write every result into `folder` as it comes.

    The results of the previous run in the same folder are replaced. If a plan fails, the record says so and stays
    unfinished, and the error goes on to the caller; what was measured until then is kept.

    Raises:
        StorageError: the folder cannot be written, or holds somebody else's `results`.
    """
    started = time.monotonic()
    record = _record(plans)
    folder.remove_results()
    folder.save_record(record)
    try:
        for each in plans:
            for result in progress(each.results, each.count, each.task):
                folder.save(result)
                record = dataclasses.replace(
                    record, versions=result.provenance.versions, device=result.provenance.device
                )
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, XaiEvalError) else error_line(error)
        folder.save_record(dataclasses.replace(record, failures={each.inputs: reason}))
        raise
    record = dataclasses.replace(record, finished=True, seconds=round(time.monotonic() - started, 1))
    folder.save_record(record)
    return record


def choose_device(device: str) -> str:
    """Resolve `auto` to `cuda` where it is available, else `cpu`; check any other name.

    Raises:
        UsageError: no such device, or not available here.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n", 1)[0]
        raise UsageError(f"device {device!r} is not available here ({reason}). Use --device auto or cpu.") from error
    return device


def _modes_kept(model: object) -> AbstractContextManager[None]:
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.models.layers import evaluating

    return evaluating(model.module) if isinstance(model, Classifier) else nullcontext()


def _record(plans: Sequence[Plan]) -> RunRecord:
    return RunRecord(
        tasks=tuple(dict.fromkeys(p.task for p in plans)),
        models=tuple(dict.fromkeys(p.model for p in plans)),
        inputs=tuple(dict.fromkeys(p.inputs for p in plans)),
        planned=sum(p.count for p in plans),
        selections=tuple(dict.fromkeys(p.inputs for p in plans if not p.complete)),
        requests={p.task: p.request for p in plans},
        versions={"python": platform.python_version()},
        when=now(),
    )
