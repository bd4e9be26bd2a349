"""The registry of tasks. New tasks are added by the decorator `@task`.

A task is a function that takes a model, images and parameters, checks them, and returns an iterator over one Result
per case.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_eval.disk.names import is_portable
from xai_eval.disk.typed import spelled
from xai_eval.errors import UsageError, unknown_name
from xai_eval.tasks.parameters import Parameter, read_signature

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.result.result import Result

Evaluation = Callable[..., "Iterable[Result]"]
# A function of the name and the value of a recorded parameter, and of the names of all parameters of the task. It
# returns the arguments that gave the recorded value.
Arguments = Callable[[str, Any, Collection[str]], Mapping[str, Any]]
TASKS: dict[str, Task] = {}
# The file given with --tasks that is being loaded now. Its tasks remember it, so that later commands can load it again.
FILE: ContextVar[str | None] = ContextVar("task_file", default=None)


def as_recorded(name: str, value: Any, accepted: Collection[str]) -> Mapping[str, Any]:
    """Return a parameter that is recorded in the form in which it is given."""
    return {name: value}


@dataclass(frozen=True)
class Task:
    """A registered evaluation function.

    Attributes:
        name: name of the task.
        function: the evaluation function.
        model: spec of the model if none is given.
        images: spec of the images if none are given.
        whole_set: whether one more result, which sums up the whole image set, follows the results of the images.
        probe: whether the function takes a ProbeSet in place of an ImageSet. A probe set may be large, and its images
            are read one after the other. Such a task does not give one result per image, so it returns `Results`, which
            know their number.
        file: the Python file that has to be given with --tasks; None for bundled and installed tasks.
        metrics: modules of this package whose metrics the results hold, such as `metrics.localisation`. Before the task
            runs, these metrics are checked on inputs whose results are known.
        needs: the library that its default parameters need, if this package has an extra of that name for it.
        arguments: converts a parameter that a case records to the arguments of the function that gave it; raises
            UsageError if it cannot.
    """

    name: str
    function: Evaluation
    model: str
    images: str
    whole_set: bool = False
    probe: bool = False
    file: str | None = None
    metrics: tuple[str, ...] = ()
    needs: str = ""
    arguments: Arguments = as_recorded

    @functools.cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Keyword-only parameters of the function, by name. Raises UsageError if a task cannot have its signature."""
        return read_signature(self.function, f"task {self.name} ({self.place})")

    @property
    def usable(self) -> bool:
        """Whether the library that its default parameters need is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None

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
        """Check the parameters and return the results of the function, which can be iterated once.

        Raises:
            UsageError: the task has no such parameter, or its signature does not allow the value.
        """
        for name, value in params.items():
            if name not in self.parameters:
                raise unknown_name(f"parameter of task {self.name}", name, self.parameters)
            self.parameters[name].check(value)
        return self.function(classifier, images, **params)


@dataclass(frozen=True)
class Results:
    """An iterator that computes results one by one, together with their number.

    Attributes:
        count: the number.
        iterator: computes them.
        divided: whether a cluster that is in use computes them, see `xai_eval.cluster.cluster.cluster_in_use`.
    """

    count: int
    iterator: Iterator[Result]
    divided: bool = False

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
    needs: str = "",
    arguments: Arguments = as_recorded,
) -> Callable[[Evaluation], Evaluation]:
    """Register an evaluation function `(classifier, images, *, parameters...) -> Iterator[Result]` under `name`.

    Every parameter after the star becomes an option of the command line. Its type and its default are read from the
    signature, and its help text from `Annotated[..., Option("...")]`.

    Args:
        name: name of the task.
        model: spec of the model if none is given.
        images: spec of the images, or of the probe set, if none are given.
        whole_set: whether one more result, which sums up the whole image set, follows the results of the images.
        probe: whether the function takes a `ProbeSet` in place of an `ImageSet`; it then returns `Results`.
        metrics: modules of this package whose metrics are checked on known inputs before the task runs.
        needs: the library that its default parameters need, if this package has an extra of that name for it. Without
            that library, a run of all tasks leaves the task out, and says so.
        arguments: converts a parameter that a case records to the arguments that gave it. Only a task that records a
            parameter in another form than it is given in needs it.

    Raises:
        UsageError: another function is registered under this name, or the registered object is not a function; or
            the name cannot be that of a folder on every system, or differs from another in capitals alone.
    """
    _require_own_folder(name)

    def register(function: Evaluation) -> Evaluation:
        if not inspect.isfunction(inspect.unwrap(function)):
            raise UsageError(
                f"task {name!r} is a {type(function).__name__}; expected a function, written with def. Call it in one."
            )
        made = Task(name, function, model, images, whole_set, probe, FILE.get(), tuple(metrics), needs, arguments)
        if name in TASKS and _home(TASKS[name]) != _home(made):
            raise UsageError(
                f"two tasks are named {name!r}: one in {TASKS[name].place}, one in {made.place}. Rename one of them."
            )
        TASKS[name] = made
        return function

    return register


def _require_own_folder(name: str) -> None:
    """Refuse before hours of computing what goldens cannot be kept under."""
    if not isinstance(name, str) or not is_portable(name):  # such as a function under @task without brackets
        raise UsageError(
            f"{spelled(name)} cannot be the name of a task, because its goldens lie in a folder of this name, and not "
            "every system takes it. Use letters, digits, - and _."
        )
    alike = next((each for each in TASKS if each != name and _folded(each) == _folded(name)), None)
    if alike is not None:
        raise UsageError(
            f"the names of the tasks {name!r} and {alike!r} differ only in capitals or in the spelling of Unicode: on "
            "some systems their goldens would lie in one folder. Rename one of them."
        )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _home(task: Task) -> tuple[str, str]:
    """Return what is the same after a module was loaded again: the file and the name of the function."""
    function = inspect.unwrap(task.function)
    return function.__code__.co_filename, function.__qualname__
