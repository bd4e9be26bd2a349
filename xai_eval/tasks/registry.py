"""The registry of tasks: `@task`, the one extension point.

A task is a function that takes a model, images and parameters, checks them, and returns an iterator over one Result
per case.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError, unknown_name
from xai_eval.tasks.parameters import Parameter, read_signature

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.result.result import Result

Evaluation = Callable[..., "Iterable[Result]"]
# From the name and the value of a parameter as a case records it, and the names of all, to the arguments that gave it.
Arguments = Callable[[str, Any, Collection[str]], Mapping[str, Any]]
TASKS: dict[str, Task] = {}
# The file that was named with --tasks and is being run: what it registers has to be found again by its name.
FILE: ContextVar[str | None] = ContextVar("task_file", default=None)


def as_recorded(name: str, value: Any, accepted: Collection[str]) -> Mapping[str, Any]:
    """A parameter that is recorded as it is given."""
    return {name: value}


@dataclass(frozen=True)
class Task:
    """An evaluation function with its name and the inputs it runs on where none are named.

    `whole_set` says that after one result per image comes one more, which sums up the whole image set. `probe` says
    that the function takes a ProbeSet, of any size and read as it goes, in place of an ImageSet; its results are not
    one per image, so it returns `Results`, which know their number. `file` is the Python file that the command line
    has to be told of, where the task is neither bundled nor installed. `metrics` names the modules of this package
    whose metrics its results hold, such as `metrics.localisation`: they are held to known answers before it runs.
    `arguments` turns what a case records of a parameter back into what is given, or raises UsageError where it cannot.
    """

    name: str
    function: Evaluation
    model: str
    images: str
    whole_set: bool = False
    probe: bool = False
    file: str | None = None
    metrics: tuple[str, ...] = ()
    arguments: Arguments = as_recorded

    @functools.cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Keyword-only parameters of the function, by name. Raises UsageError if its signature is none of a task."""
        return read_signature(self.function, f"task {self.name} ({self.place})")

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    @property
    def place(self) -> str:
        """File and line of the function."""
        code = inspect.unwrap(self.function).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    def __call__(self, classifier: Classifier, images: ImageSet | ProbeSet, **params: Any) -> Iterable[Result]:
        """Return what gives the results, once.

        Raises:
            UsageError: a parameter that the task does not take, or a value that its signature rules out.
        """
        for name, value in params.items():
            if name not in self.parameters:
                raise unknown_name(f"parameter of task {self.name}", name, self.parameters)
            self.parameters[name].check(value)
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
    arguments: Arguments = as_recorded,
) -> Callable[[Evaluation], Evaluation]:
    """Register an evaluation function `(classifier, images, *, parameters...) -> Iterator[Result]` under `name`.

    Every parameter after the star becomes an option of the command line: its type and its default are read from the
    signature, its help from `Annotated[..., Option("...")]`.

    Raises:
        UsageError: another function is registered under this name, or what is registered is no function.
    """

    def register(function: Evaluation) -> Evaluation:
        if not inspect.isfunction(inspect.unwrap(function)):
            raise UsageError(
                f"task {name!r} is a {type(function).__name__}; expected a function, written with def. Call it in one."
            )
        made = Task(name, function, model, images, whole_set, probe, FILE.get(), tuple(metrics), arguments)
        if name in TASKS and _home(TASKS[name]) != _home(made):
            raise UsageError(
                f"two tasks are named {name!r}: one in {TASKS[name].place}, one in {made.place}. Rename one of them."
            )
        TASKS[name] = made
        return function

    return register


def _home(task: Task) -> tuple[str, str]:
    """What stays when a module is loaded again."""
    function = inspect.unwrap(task.function)
    return function.__code__.co_filename, function.__qualname__
