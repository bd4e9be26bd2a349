"""A plan: a task whose model and images are loaded, and whose parameters are checked, before anything is computed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.freed_memory import keep_freed_memory
from xai_eval.media.progress import say
from xai_eval.result.precisions import DEFAULT
from xai_eval.result.result import Result
from xai_eval.run.in_precision import results_in
from xai_eval.tasks import Results, find_task

if TYPE_CHECKING:
    from xai_eval.cluster.cluster import Cluster
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.run.contents import Sources
    from xai_eval.store.made_from import Contents
    from xai_eval.tasks import Task
    from xai_eval.tasks.image.per_image import PerImage


class Forecaster(Protocol):
    """Knows what an image costs where it is explained."""

    def with_forecast(
        self, results: Iterator[Result], count: int, parameters: Mapping[str, Any], tell: Callable[[str], None]
    ) -> Iterator[Result]:
        """Pass results on; say what all will cost as soon as that is known, if it is long."""
        ...


@dataclass(frozen=True)
class Plan:
    """One task whose model and inputs are loaded and whose parameters are checked. Nothing is computed yet.

    Attributes:
        task: name of the task.
        model: spec of the model.
        inputs: name of the image set or probe set.
        complete: False if the inputs are a selection, such as one file of a folder.
        count: number of results.
        results: an iterator that computes one result at a time. It can be used once.
        request: model, images, device, precision and parameters as they were given, as JSON values.
        sources: what the results are made from; None if nobody can tell, as for a probe set.
        parts: the results one by one, if they do not depend on each other.
        watched: what the iterator of the results goes through, see `through`.
        noted: passes on every result, also one that an earlier run computed and that is kept; None if nobody has to
            know of them.
        reload: makes the plan again, with its model, if it was made without one; see `loaded`.
        divided: whether the task divides its work among the workers of a cluster itself, as `dissection` does.
        workers: the workers of the cluster that computes the results, as text; empty if this process does.
        spread: the workers that explain the images one by one; None if this process does.
    """

    task: str
    model: str
    inputs: str
    complete: bool
    count: int
    results: Iterator[Result]
    request: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sources: Sources | None = None
    parts: PerImage | None = None
    watched: Callable[[Iterator[Result]], Iterator[Result]] = iter
    noted: Callable[[Result], Result] | None = None
    reload: Callable[[], Plan] | None = None
    divided: bool = False
    workers: str = ""
    spread: Forecaster | None = None

    def loaded(self) -> Plan:
        """Return the plan with its model. Where several models are asked for, only one is in memory at a time."""
        return self if self.reload is None else self.reload()

    def unloaded(self, reload: Callable[[], Plan]) -> Plan:
        """Return the plan without its model: what it computes is left to the plan that `reload` makes."""
        return dataclasses.replace(self, results=iter(()), sources=None, parts=None, reload=reload)

    def through(self, watch: Callable[[Iterator[Result]], Iterator[Result]]) -> Plan:
        """Return the plan whose results go through a generator function, also if it is loaded later or resumed."""
        before, reload = self.watched, self.reload
        return dataclasses.replace(
            self,
            results=watch(self.results),
            watched=lambda results: watch(before(results)),
            reload=None if reload is None else lambda: reload().through(watch),
        )

    def altered(self, alter: Callable[[Result], Result]) -> Plan:
        """Return the plan with every result given to a function, also if it is resumed."""
        if self.parts is None:
            return dataclasses.replace(self, results=map(alter, self.results))
        parts = self.parts.altered(alter)
        return dataclasses.replace(self, results=iter(parts), parts=parts)

    def made_from(self, result: Result) -> Contents | None:
        """Return what a result of the plan is made from; None if that cannot be told."""
        if self.sources is None:
            return None
        image = None if self.parts is None else self.sources.by_input.get(result.case.input)
        return self.sources.of_set if image is None else self.sources.of_image(image)

    def with_forecast(self, tell: Callable[[str], None]) -> Iterator[Result]:
        """Return the results; after the first ones, `tell` is called with what all will cost, if that is long."""
        from xai_eval.run.forecast import with_forecast

        if self.sources is None:
            return self.results

        def named(sentence: str) -> None:
            tell(f"{self.task}: {sentence}")

        module, parameters = self.sources.classifier.module, self.sources.task.parameters
        if self.spread is not None:
            return self.spread.with_forecast(self.results, self.count, parameters, named)
        return with_forecast(self.results, module, self.count, parameters, named)

    def without(self, keys: Collection[str], read: Callable[[str], Result]) -> Plan:
        """Return the plan of the results that are not among these case keys, which `read` returns."""
        if not keys:
            return self
        if self.noted is not None:
            for key in keys:
                self.noted(read(key))
        if self.parts is None:  # such results are kept together or not at all
            return dataclasses.replace(self, results=self.watched(iter(())), count=0)
        results = self.parts.without({key: partial(read, key) for key in keys})
        if self.noted is not None:
            results = map(self.noted, results)
        return dataclasses.replace(self, results=self.watched(results), count=self.count - len(keys))


def plan(
    task: str,
    *,
    model: str | Classifier | None = None,
    images: str | os.PathLike[str] | ImageSet | ProbeSet | None = None,
    device: str = "auto",
    precision: str = DEFAULT,
    params: Mapping[str, Any] | None = None,
    cluster: Cluster | None = None,
) -> Plan:
    """Load and check what `evaluate` needs, so that errors appear before anything is computed or overwritten.

    A task that divides its work itself computes on `cluster`. Images of other tasks do after `spread`.
    """
    from xai_eval.cluster.cluster import used
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.models import load_model
    from xai_eval.run.contents import Sources
    from xai_eval.tasks.image.per_image import PerImage
    from xai_eval.tasks.reference.check import check_metrics

    keep_freed_memory()
    found = find_task(task)
    loaded = load_inputs(found, found.images if images is None else images)
    classifier = load_model(found.model if model is None else model, device=choose_device(device))
    with used(cluster):
        results = results_in(precision, found, classifier, loaded, params or {})
    check_metrics(found.metrics)
    complete = not isinstance(loaded, ImageSet) or loaded.complete
    count = results.count if isinstance(results, Results) else len(loaded) + found.whole_set
    request = {"model": _spec(model), "images": _spec(images), "device": device, "params": dict(params or {})}
    if precision != DEFAULT:
        request["precision"] = precision
    if found.file is not None:
        request["task_file"] = found.file
    own = dict(params or {})
    sources = Sources(found, classifier, loaded, own, precision) if isinstance(loaded, ImageSet) else None
    parts = results if isinstance(results, PerImage) else None
    names, divided = (found.name, classifier.name, loaded.name), isinstance(results, Results) and results.divided
    return Plan(*names, complete, count, iter(results), request, sources, parts, divided=divided)


def _spec(given: object) -> str | None:
    """Return the name or path that was given; None for the default and for an object that was already loaded."""
    return os.fspath(given) if isinstance(given, str | os.PathLike) else None


def load_inputs(task: Task, images: str | os.PathLike[str] | ImageSet | ProbeSet) -> ImageSet | ProbeSet:
    """Load the images or the probe set of a task. They are given by name, by path, or already loaded.

    Raises:
        UsageError: an ImageSet was given to a task that needs a ProbeSet, or the reverse.
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
    for note in loaded.notes if isinstance(loaded, ImageSet) else ():  # a dissection says those of its probe set
        say(f"{note}.")
    # The sum over a set depends on the order of its images: in rounding, and in what is drawn for confidence intervals.
    return loaded.by_name() if task.whole_set and isinstance(loaded, ImageSet) else loaded


def choose_device(device: str) -> str:
    """Return `cuda` for `auto` if a GPU is available, else `cpu`. Check that any other device works.

    Raises:
        UsageError: the device is unknown or not available on this machine.
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
