"""The registry of tasks: `@task`, the one extension point.

A task is a function that takes a model, images and parameters, checks them, and returns an iterator over one Result
a case. Importing this package imports no torch: task files import what computes inside the function.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.result.result import Result

Evaluation = Callable[..., "Iterable[Result]"]
_BUNDLED = ("cams", "lime.task", "studies.lime_search", "studies.comparison", "studies.hybrid", "dissection.task")
_TASKS: dict[str, Task] = {}


@dataclass(frozen=True)
class Task:
    """An evaluation function with its name and the inputs it runs on where none are named.

    `whole_set` says that after one result per image comes one more, which sums up the whole image set. `probe` says
    that the function takes a ProbeSet, of any size and read as it goes, in place of an ImageSet; its results are not
    one per image, so it returns `Results`, which know their number. `metrics` names the modules of this package whose
    metrics its results hold, such as `metrics.localisation`: they are held to known answers before it runs.
    """

    name: str
    function: Evaluation
    model: str
    images: str
    whole_set: bool = False
    probe: bool = False
    metrics: tuple[str, ...] = ()

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Keyword-only parameters of the function, which the command line offers as options."""
        every = inspect.signature(self.function).parameters
        return {n: p for n, p in every.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    def __call__(self, classifier: Classifier, images: ImageSet | ProbeSet, **params: Any) -> Iterable[Result]:
        """Return what gives the results, once. Raises UsageError for a parameter that the task does not take."""
        for name in params:
            if name not in self.parameters:
                raise unknown_name(f"parameter of task {self.name}", name, self.parameters)
        return self.function(classifier, images, **params)


@dataclass(frozen=True)
class Results:
    """Results that are computed as they are iterated, and how many there will be."""

    count: int
    iterator: Iterator[Result]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Result]:
        return self.iterator


def task(
    name: str,
    *,
    model: str = "scenes:objects",
    images: str = "scenes",
    whole_set: bool = False,
    probe: bool = False,
    metrics: Sequence[str] = (),
) -> Callable[[Evaluation], Evaluation]:
    """Register an evaluation function `(classifier, images, *, parameters...) -> Iterator[Result]` under `name`."""

    def register(function: Evaluation) -> Evaluation:
        if name in _TASKS and _TASKS[name].function.__module__ != function.__module__:
            raise UsageError(
                f"two tasks are named {name!r}: in {_TASKS[name].function.__module__} and {function.__module__}."
            )
        _TASKS[name] = Task(name, function, model, images, whole_set, probe, tuple(metrics))
        return function

    return register


def all_tasks() -> Mapping[str, Task]:
    """Return every registered task by name, in the order of registration."""
    for name in _BUNDLED:
        importlib.import_module(f"xai_eval.tasks.{name}")
    return _TASKS


def find_task(name: str) -> Task:
    """Return a task by its name; an unknown one raises UsageError with the nearest names."""
    tasks = all_tasks()
    if name not in tasks:
        raise unknown_name("task", name, tasks)
    return tasks[name]
