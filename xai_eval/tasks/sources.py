"""Finds tasks: the bundled ones, those of installed packages (entry points), and those of files given with --tasks."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, error_line, unknown_name
from xai_eval.inputs.models.host_state import host_kept
from xai_eval.inputs.source_file import spec_of_source
from xai_eval.media.progress import say
from xai_eval.result.bundled_tasks import BUNDLED
from xai_eval.tasks.registry import FILE, TASKS, Task

ENTRY_POINTS = "xai_eval.tasks"


def all_tasks() -> Mapping[str, Task]:
    """Return all registered tasks by name in the order of registration. The bundled ones come first."""
    for name in BUNDLED:
        importlib.import_module(f"xai_eval.tasks.bundled.{name}")
    unloadable_entry_points()
    return TASKS


def find_task(name: str) -> Task:
    """Return a task by its name. Raises UsageError, with the most similar names, if there is none."""
    tasks = all_tasks()
    if name not in tasks:
        own = "If it is your own task, import its module first or, on the command line, give its file: --tasks FILE.py."
        raise unknown_name("task", name, tasks, hint=" ".join([own, *unloadable_entry_points()]))
    return tasks[name]


@functools.cache
def unloadable_entry_points() -> tuple[str, ...]:
    """Load the tasks of installed packages, and return one sentence per entry point that could not be loaded.

    An entry point that fails does not keep the others from loading.
    """
    return tuple(filter(None, map(_load_entry_point, importlib.metadata.entry_points(group=ENTRY_POINTS))))


def _load_entry_point(entry: importlib.metadata.EntryPoint) -> str | None:
    before = dict(TASKS)
    try:
        entry.load()
        _check_signatures(before)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # A package of somebody else may raise anything while it is imported.
        _forget_since(before)
        package = f" of {entry.dist.name}" if entry.dist else ""
        reason = error_line(error).rstrip(".")
        return f"The entry point {entry.name!r}{package} ({entry.value}) cannot be loaded as a task: {reason}."
    return None


def load_task_file(file: str) -> tuple[str, ...]:
    """Run a Python file, and return the names of the tasks that it registers. It may register only kinds of fields.

    The file can import other modules of its folder. A file that was already run is not run again.

    Raises:
        InputUnavailable: the file is missing, or raises an error while it runs.
        UsageError: it registers neither a task nor a kind of field, a task whose name is taken, or a function that
            cannot be a task.
    """
    from xai_eval.result.fields import KINDS

    all_tasks()  # The bundled tasks are loaded first, so that an error about a name used twice is about the file.
    path = Path(file)
    if not _is_file(path):
        raise InputUnavailable(f"{file} does not exist or is not a file; --tasks expects a Python file with a task.")
    before, kinds = dict(TASKS), set(KINDS)
    module = f"xai_eval_task_file_{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]}"
    try:
        if module not in sys.modules:
            _run(path, file, module)
        _check_signatures(before)
    except BaseException:
        sys.modules.pop(module, None)
        _forget_since(before)
        raise
    KINDS.files.update(dict.fromkeys(KINDS.keys() - kinds, file))
    # Tasks of a module that the file imports count as tasks of the file.
    names = tuple(name for name, each in TASKS.items() if each.file and Path(each.file).resolve() == path.resolve())
    if not names and file not in KINDS.files.values():
        raise UsageError(f"{file} registers no task. Write @task(NAME) or @image_task(NAME) above a function in it.")
    return names


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _run(path: Path, file: str, name: str) -> None:
    spec = spec_of_source(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is not a Python file; --tasks expects a Python file with a task.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and other library code look up their module by its name while it runs, so it is registered before.
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        # The folder stays on the path, because a task may import another module of it only when it is called.
        sys.path.append(folder)
    token = FILE.set(file)
    try:
        with host_kept() as restored:
            spec.loader.exec_module(module)
        if restored:
            say(
                f"{file}: loading it changes {', '.join(restored)} for the whole process. That was set back. Set it in "
                "the function of the task, and set it back there."
            )
    except (XaiEvalError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise InputUnavailable(
            f"{file} cannot be imported: {error_line(error).rstrip('.')} ({_line_of(error, path.resolve())})."
        ) from error
    finally:
        FILE.reset(token)


def _line_of(error: BaseException, path: Path) -> str:
    """Return the innermost line of the file in the traceback of an error, as `file:line`."""
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
