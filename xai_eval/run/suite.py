"""Turns the entries of a suite into requests, one per model, image set and layer, and plans them all.

Everything that can be checked without computing is checked before anything is computed.
"""

from __future__ import annotations

import dataclasses
import gc
import glob
import itertools
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.errors import InputUnavailable, ModelMisbehaves, UsageError, XaiEvalError, unknown_name
from xai_eval.media.progress import say
from xai_eval.result.precisions import DEFAULT
from xai_eval.result.result import Result
from xai_eval.result.tolerances import tolerated_parts, unknown_tolerance, with_tolerances
from xai_eval.run.plan import Plan, choose_device, load_inputs, plan
from xai_eval.run.spread import spread
from xai_eval.settings.engine import IN_THIS_PROCESS, Engine
from xai_eval.settings.settings import Entry, FieldTolerances, Settings
from xai_eval.tasks import Task, all_tasks, find_task, unloadable_entry_points

if TYPE_CHECKING:
    from xai_eval.cluster.cluster import Cluster
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet

_KEYS = ("task", "models", "images", "device", "precision", "layers")
# Keys of the whole file that a table of TOML takes for itself if they stand below it.
_WHOLE = ("golden", "reports", "engine", "workers", "gpus_per_worker", "tasks_files", "quarantine_days")


@dataclass(frozen=True)
class Request:
    """One task with one model, one image set and one set of parameters.

    Attributes:
        task: name of the task.
        model: spec of the model; the task's default if None.
        images: spec of the images; the task's default if None.
        device: `auto`, `cpu`, `cuda`, ...
        precision: in which the model computes.
        params: parameters of the task, checked against its signature.
        engine: where it is computed.
        tolerances: what may differ in the fields of its results, in place of what the task states.
        file: the configuration file, for error messages; empty if there is none.
        where: place in this file; empty if the request is not of the file.
    """

    task: str
    model: str | None = None
    images: str | None = None
    device: str = "auto"
    precision: str = DEFAULT
    params: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine = IN_THIS_PROCESS
    tolerances: FieldTolerances = field(default_factory=dict)
    file: str = ""
    where: str = ""

    @property
    def words(self) -> str:
        """The request as text for people."""
        given = {"model": self.model, "images": self.images, **self.params}
        return ", ".join(
            [self.task, *(f"{name} {_words(value)}" for name, value in given.items() if value is not None)]
        )

    def failed(self, error: XaiEvalError) -> XaiEvalError:
        """Return an error with the place in the file before its text."""
        inputs = [f"{name} {value}" for name, value in (("model", self.model), ("images", self.images)) if value]
        return type(error)(f"{', '.join([self.where, *inputs])}: {error}") if self.where else error

    def tolerating(self, result: Result) -> Result:
        """Return a result with the tolerances of the request. Raises UsageError as `with_tolerances`."""
        try:
            return with_tolerances(result, self.tolerances)
        except UsageError as error:
            raise UsageError(f"{self.file}: {error}") from error


def requests_of(entries: Iterable[Entry], settings: Settings) -> list[Request]:
    """Check completed entries against the signatures of their tasks; return one request per model, images and layer.

    Raises:
        UsageError: a task or parameter is unknown, a value is not valid, two requests are the same, or there are
            tolerances for an unknown task.
    """
    for task in settings.tolerances:
        _found(task, f"{settings.name}, tolerances")
    requests = [request for entry in entries for request in _expanded(entry, settings)]
    for first, second in itertools.combinations(requests, 2):
        if _asked(first) == _asked(second):
            places = " and ".join(dict.fromkeys(filter(None, (first.where, second.where))))
            raise UsageError(f"{places + ': ' if places else ''}asked for twice: {second.words}. Leave one out.")
    return requests


def _words(value: object) -> object:
    """Return a value of a parameter as the command line takes it: `gradcam layercam`, or `num_samples=500,1000`."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_joined(each, ',')}" for name, each in value.items())
    return _joined(value, " ")


def _joined(value: object, separator: str) -> object:
    return separator.join(map(str, value)) if isinstance(value, list | tuple) else value


def _asked(request: Request) -> tuple[object, ...]:
    """Return what is the same for two requests that lead to the same cases."""
    task = find_task(request.task)
    values = {name: request.params.get(name, each.default) for name, each in task.parameters.items()}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return request.task, request.model or task.model, request.images or task.images, plain


def _found(task: str, where: str) -> Task:
    if where and task not in all_tasks():
        hint = " ".join(["If it is your own task, name its file in tasks_files.", *unloadable_entry_points()])
        raise UsageError(f"{where}: {unknown_name('task', task, all_tasks(), hint=hint)}")
    return find_task(task)


def completed(entry: Entry, settings: Settings) -> Entry:
    """Return an entry with what it leaves to the whole file, and with its paths as seen from the working directory.

    Raises:
        UsageError: there is no such task.
    """
    task = _found(entry.task, entry.where)
    models, images = entry.models or settings.models, entry.images or settings.images
    return dataclasses.replace(
        entry,
        models=models and [_located_model(each, settings) for each in models],
        images=images and [_located_images(each, settings) for each in images],
        device=entry.device or settings.device,
        precision=entry.precision or settings.precision,
        params={name: _located_value(task, name, each, settings) for name, each in entry.params.items()},
    )


def _located_model(spec: str, settings: Settings) -> str:
    kind, _, rest = spec.partition(":")
    file, _, factory = rest.rpartition(":")
    return f"file:{_located(file, settings)}:{factory}" if kind == "file" and file else spec


def _located_images(spec: str, settings: Settings) -> str:
    from xai_eval.inputs.images.images import names_images
    from xai_eval.inputs.probes.probes import names_probe

    return spec if names_images(spec) or names_probe(spec) else _located(spec, settings)


def _located_value(task: Task, name: str, value: Any, settings: Settings) -> Any:
    """Locate a parameter that names a model in a file, or an existing file: `concepts` also takes a word."""
    if isinstance(value, list):
        return [_located_value(task, name, each, settings) for each in value]
    if not isinstance(value, str) or name not in task.parameters:
        return value
    if task.parameters[name].option.file:
        located = _located(value, settings)
        return located if Path(located).is_file() else value
    return _located_model(value, settings)


def _located(path: str, settings: Settings) -> str:
    """Return a path of the file as seen from the working directory: as it is written, if the file is there, too."""
    whole = Path(path).expanduser()
    if settings.file is None or settings.file.parent == Path.cwd() or whole.is_absolute():
        return path
    root = str(settings.file.parent)
    # In a pattern, brackets of a folder above it would be part of the pattern.
    above = os.path.relpath(root) if glob.has_magic(path) and glob.has_magic(root) else root
    return str(Path(above, whole))


def _expanded(entry: Entry, settings: Settings) -> Iterator[Request]:
    task = _found(entry.task, entry.where)
    params, layers = _params(entry, task)
    for model, images, layer in itertools.product(entry.models or (None,), entry.images or (None,), layers or (None,)):
        yield Request(
            task=task.name,
            model=model,
            images=images,
            device=entry.device or settings.device,
            precision=entry.precision or settings.precision,
            params=params if layer is None else {**params, "layer": layer},
            engine=settings.engine,
            tolerances=settings.tolerances.get(task.name, {}),
            file=settings.name if settings.file else "",
            where=entry.where,
        )


def _params(entry: Entry, task: Task) -> tuple[dict[str, Any], Sequence[str] | None]:
    """Return the checked parameters of an entry, and its layers if the task explains one layer per run."""
    params, layers = dict(entry.params), entry.layers
    one_layer = "layer" in task.parameters and "layers" not in task.parameters
    if one_layer and layers is None and "layers" in params:
        layers = _layers(params.pop("layers"), entry.where)
    if layers is not None and "layer" in params:
        raise UsageError(f"{entry.where}: both layer and layers are given. Leave one out.")
    for name, value in params.items():
        if name not in task.parameters:
            keys = _KEYS if one_layer else _KEYS[:-1]
            raise UsageError(f"{entry.where}: {unknown_name('key', name, [*keys, *task.parameters], hint=_hint(name))}")
        try:
            task.parameters[name].check(value)
        except UsageError as error:
            raise UsageError(f"{entry.where}: {error}" if entry.where else str(error)) from error
    return params, layers


def _hint(key: str) -> str:
    return f"{key} holds for all tasks: write it above the first [[suite]] of the file." if key in _WHOLE else ""


def _layers(given: Any, where: str) -> Sequence[str]:
    if not isinstance(given, list) or not given or not all(isinstance(each, str) and each for each in given):
        raise UsageError(f'{where}: layers is {given!r}; expected one or more texts, such as ["layer4", "layer3"].')
    return given


class Inputs:
    """Images that were loaded, the model that was loaded last, and the workers of a cluster.

    Requests that share images load them once. Of models only one is kept, because several may not fit into memory.
    """

    def __init__(self) -> None:
        self._clusters: dict[tuple[Engine, str], Cluster | None] = {}
        self._model: tuple[tuple[str, str], Classifier] | None = None
        self._images: dict[tuple[bool, str], ImageSet | ProbeSet] = {}

    def model(self, request: Request) -> Classifier:
        """Return the model of a request; another one is let go before. Raises what `load_model` raises."""
        from xai_eval.inputs.models.models import load_model

        wanted = _model_of(request)
        if self._model is None or self._model[0] != wanted:
            self._let_go()
            self._model = wanted, load_model(wanted[0], device=wanted[1])
        return self._model[1]

    def _let_go(self) -> None:
        """Forget the model, so that it leaves the memory before another one is loaded."""
        if self._model is None:
            return
        module = weakref.ref(self._model[1].module)
        self._model = None
        if module() is not None:
            gc.collect()  # a model that refers to itself, by a hook for instance; this takes up to a second

    def cluster(self, request: Request) -> Cluster | None:
        """Return the workers that compute a request, the same for all; None if this process does."""
        from xai_eval.run.workers import cluster_of

        wanted = request.engine, choose_device(request.device)
        if wanted not in self._clusters:
            found = self._clusters[wanted] = cluster_of(*wanted)
            if found is not None:
                say(f"{found.words} of the Ray cluster compute.")
        return self._clusters[wanted]

    def check_clusters(self) -> None:
        """Wait for the first worker of each cluster. Raises InputUnavailable if it is not like this process."""
        for each in self._clusters.values():
            if each is not None:
                each.check()

    def images(self, request: Request) -> ImageSet | ProbeSet:
        """Return the images, or the probe set, of a request. Raises what `load_inputs` raises."""
        task = find_task(request.task)
        spec = request.images or task.images
        if (task.probe, spec) not in self._images:
            self._images[task.probe, spec] = load_inputs(task, spec)
        return self._images[task.probe, spec]


def plan_all(requests: Iterable[Request]) -> list[Plan]:
    """Load and check what all requests need, as `plan` does for one.

    If several models are asked for, each is loaded, checked and let go, and loaded again when its results are computed
    (`Plan.loaded`). So one model is in memory at a time.

    Which fields the results of a task have shows only in a result. So, if there are tolerances for a task, the first
    result of each of its requests is computed now: a wrong name ends the command before the last run is replaced.

    Raises:
        UsageError, InputUnavailable, ModelMisbehaves, MetricMisbehaves: as `plan`. The text names the place of the
            request in the file.
    """
    asked = list(requests)
    inputs, known, obtained = Inputs(), _KnownParts(asked), dict[str, Request]()
    several = len({_model_of(each) for each in asked}) > 1
    plans = [_planned(each, inputs, known, several) for each in asked]
    inputs.check_clusters()
    known.check(each for each in asked if not find_task(each.task).whole_set)
    return [
        each.through(partial(_apart, request=request, obtained=obtained)).through(known.checked_at_the_end)
        for request, each in zip(asked, plans, strict=True)
    ]


def _planned(request: Request, inputs: Inputs, known: _KnownParts, several: bool) -> Plan:
    planned = plan_one(request, inputs)
    if not request.tolerances:
        return planned.unloaded(partial(plan_one, request, inputs)) if several else planned
    first = known.first_results(planned, request)
    if not several:
        return dataclasses.replace(planned, results=known.chained(first, planned.results), noted=known.note)

    def again() -> Plan:
        made = plan_one(request, inputs)
        return dataclasses.replace(made, results=known.chained(first, _without(made, first)), noted=known.note)

    return planned.unloaded(again)


def _without(planned: Plan, first: Sequence[Result]) -> Iterator[Result]:
    """Return the results of a plan that was made again, without those that it gave before."""
    if len(first) == planned.count:
        return iter(())
    if planned.parts is None:
        return itertools.islice(planned.results, len(first), None)
    return planned.parts.without({each.case.key: partial(_same, each) for each in first})


def _same(result: Result) -> Result:
    return result


def plan_one(request: Request, inputs: Inputs, images: ImageSet | ProbeSet | None = None) -> Plan:
    """Plan one request; `images` replace those that it names. Raises as `plan_all`."""
    try:
        cluster = inputs.cluster(request)
        planned = plan(
            request.task,
            model=inputs.model(request),
            images=inputs.images(request) if images is None else images,
            device=request.device,
            precision=request.precision,
            params=request.params,
            cluster=cluster,
        )
        planned = planned if cluster is None else spread(planned, cluster, _model_of(request)[0])
    except (UsageError, InputUnavailable, ModelMisbehaves) as error:
        raise request.failed(error) from error
    recorded = {**planned.request, "model": request.model, "images": request.images}
    return dataclasses.replace(planned.altered(request.tolerating), request=recorded)


def _model_of(request: Request) -> tuple[str, str]:
    """Return the spec of the model of a request, and its device."""
    return request.model or find_task(request.task).model, choose_device(request.device)


class _KnownParts:
    """What the results of tasks have that a tolerance may be given for.

    The result of a whole set comes last and has fields of its own, so what only it could have is checked at the end.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._left = len(requests)
        self._known: dict[str, dict[str, set[str]]] = {}

    def first_results(self, planned: Plan, request: Request) -> Sequence[Result]:
        """Compute the first result of a request with tolerances; all, if none is computed without the others."""
        if not request.tolerances:
            return ()
        number = planned.count if find_task(request.task).probe else 1
        return [self.note(each) for each in itertools.islice(planned.results, number)]

    def chained(self, first: Sequence[Result], rest: Iterator[Result]) -> Iterator[Result]:
        """Return the first results of a request, and the others, which are noted."""
        return itertools.chain(first, map(self.note, rest))

    def note(self, result: Result) -> Result:
        """Note what a result has, and return it."""
        known = self._known.setdefault(result.case.task, {})
        for name, parts in tolerated_parts(result).items():
            known.setdefault(name, set()).update(parts)
        return result

    def check(self, requests: Iterable[Request]) -> None:
        """Raise UsageError if a request has a tolerance for something that no result of its task has."""
        for request in requests:
            error = unknown_tolerance(request.task, request.tolerances, self._known.get(request.task, {}))
            if error:
                raise UsageError(f"{request.file}: {error}")

    def checked_at_the_end(self, results: Iterator[Result]) -> Iterator[Result]:
        """Pass on the results of one request; check when those of all requests are computed."""
        yield from results
        self._left -= 1
        if not self._left:
            self.check(self._requests)


def _apart(results: Iterator[Result], request: Request, obtained: dict[str, Request]) -> Iterator[Result]:
    """Yield results; raise UsageError if another request gave the same case, because one would replace the other."""
    for result in results:
        other = obtained.setdefault(result.case.key, request)
        if other is not request:
            raise UsageError(
                f"{result.case.key} is the case of two requests: {other.words}; and {request.words}. "
                "Leave one out, or give models and image folders different names."
            )
        yield result
