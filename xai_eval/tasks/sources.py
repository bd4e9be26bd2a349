"""Where tasks come from: bundled, installed (entry points), or from a file that the command line is told of."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, one_line, unknown_name
from xai_eval.tasks.registry import FILE, TASKS, Task

ENTRY_POINTS = "xai_eval.tasks"
BUNDLED = ("cams", "lime", "lime_search", "comparison", "hybrid", "dissection")


def all_tasks() -> Mapping[str, Task]:
    """Return every registered task by name, in the order of registration: the bundled ones come first."""
    for name in BUNDLED:
        importlib.import_module(f"xai_eval.tasks.bundled.{name}")
    unloadable_entry_points()
    return TASKS


def find_task(name: str) -> Task:
    """Return a task by its name; an unknown one raises UsageError with the nearest names."""
    tasks = all_tasks()
    if name not in tasks:
        own = "A task of your own has to be imported or, on the command line, its file to be named: --tasks FILE.py."
        raise unknown_name("task", name, tasks, hint=" ".join([own, *unloadable_entry_points()]))
    return tasks[name]


@functools.cache
def unloadable_entry_points() -> tuple[str, ...]:
    """Load the tasks of installed packages, and say in a sentence each which could not be had.

    One that fails stands in nobody else's way.
    """
    return tuple(filter(None, map(_load_entry_point, importlib.metadata.entry_points(group=ENTRY_POINTS))))


def _load_entry_point(entry: importlib.metadata.EntryPoint) -> str | None:
    before = dict(TASKS)
    try:
        entry.load()
        _check_signatures(before)
    except (Exception, SystemExit) as error:  # whatever somebody else's package raises while it is imported
        _forget_since(before)
        package = f" of {entry.dist.name}" if entry.dist else ""
        return f"The entry point {entry.name!r}{package} ({entry.value}) gives no task: {one_line(error).rstrip('.')}."
    return None


def load_task_file(file: str) -> tuple[str, ...]:
    """Run a Python file, and return the names of the tasks that it registers.

    The file can import its neighbours. A file that was run already is not run again.

    Raises:
        InputUnavailable: the file is missing, or raises while it runs.
        UsageError: it registers no task, one with a name that is taken, or one whose signature is none of a task.
    """
    all_tasks()  # so that a clash of names is the file's, not the bundled task's
    path = Path(file)
    if not path.is_file():
        raise InputUnavailable(f"{file} does not exist or is no file; --tasks expects a Python file that has a task.")
    before, module = dict(TASKS), f"xai_eval_task_file_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    try:
        if module not in sys.modules:
            _run(path, file, module)
        _check_signatures(before)
    except BaseException:
        sys.modules.pop(module, None)
        _forget_since(before)
        raise
    # Also what a neighbour registered that the file imports.
    names = tuple(name for name, each in TASKS.items() if each.file and Path(each.file).resolve() == path.resolve())
    if not names:
        raise UsageError(f"{file} registers no task. Write @task(NAME) or @image_task(NAME) above a function in it.")
    return names


def _run(path: Path, file: str, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is no Python file; --tasks expects one that has a task.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and other library code look their module up by name while it runs.
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # for good: a task may import a neighbour when it is called
    token = FILE.set(file)
    try:
        spec.loader.exec_module(module)
    except XaiEvalError:
        raise
    except (Exception, SystemExit) as error:
        raise InputUnavailable(
            f"{file} cannot be imported: {one_line(error).rstrip('.')} ({_line_of(error, path.resolve())})."
        ) from error
    finally:
        FILE.reset(token)


def _line_of(error: BaseException, path: Path) -> str:
    """The last line of the file that the error went through, as `file:line`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(path)] or list(frames)
    return f"{own[-1].filename}:{own[-1].lineno}"


def _check_signatures(before: Mapping[str, Task]) -> None:
    for name, each in TASKS.items():
        if before.get(name) is not each:
            _ = each.parameters


def _forget_since(before: Mapping[str, Task]) -> None:
    TASKS.clear()
    TASKS.update(before)
