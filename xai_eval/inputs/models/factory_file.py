"""Run a Python file of the user, and call a factory function in it or return a function of it.

Only this module executes code of users for a spec `file:PATH.py:NAME`.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from xai_eval.disk.git_lfs import is_pointer_file, pointer_sentence
from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, error_line, unknown_name
from xai_eval.inputs.models.called_in import at_home, folder_of_factories
from xai_eval.inputs.models.named_programs import require_named
from xai_eval.inputs.paths import readable
from xai_eval.inputs.source_file import spec_of_source

_MODULE_NAME = "xai_eval_factory_file"
_WEIGHTS = frozenset({".bin", ".ckpt", ".h5", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".tar"})
_LOOKED_AT = 2000  # files near a factory that are looked at after it raised


@dataclass(frozen=True)
class Made:
    """What a factory returned.

    Attributes:
        value: the object.
        restored: the settings of torch that change how numbers are computed, that the file set, and that were set back.
    """

    value: object
    restored: tuple[str, ...]


def call_factory(path: Path, factory: str) -> Made:
    """Run a Python file and return what its function `factory` returns.

    The file can import other files of its folder. Afterwards `sys.path` is restored, and modules that were imported
    from the folder are removed from `sys.modules`, so that a factory file in another folder does not get them. What it
    set for the whole process, such as the working directory or torch's default dtype, is restored as well. It is called
    in the folder of the configuration file, if there is one (`called_in.py`).

    Args:
        path: the Python file.
        factory: name of a function without arguments.

    Raises:
        InputUnavailable: the file is missing or cannot be read, or the file or the factory raises.
        UsageError: the file has no such function; the error lists the nearest names. Or nobody named it, see
            `named_programs.py`.
    """
    with readable(path):
        found = path.is_file()
    if not found:
        raise InputUnavailable(
            f"{path} does not exist; expected a Python file with a function {factory!r}. Check the path in "
            "the model spec file:PATH.py:FACTORY."
        )
    require_named(path, factory)
    place = path.resolve()
    with at_home(folder_of_factories()) as restored, _importable(place.parent):
        module = _run(path, place)
        function = _function(module, path, factory)
        value = _guarded(function, f"{path}: {factory}()", place.parent)
    return Made(value, tuple(restored))


def load_function(path: Path, name: str) -> Callable[..., Any]:
    """Run a Python file and return its function `name`.

    Whenever the function is called, it can import other files of its folder, as the file itself can.

    Raises:
        InputUnavailable: the file is missing or cannot be read, or it raises.
        UsageError: the file has no such function; the error lists the nearest names.
    """
    with readable(path):
        found = path.is_file()
    if not found:
        raise InputUnavailable(
            f"{path} does not exist; expected a Python file with a function {name!r}. Check the path in "
            f"file:{path}:{name}."
        )
    require_named(path, name)
    place, home = path.resolve(), folder_of_factories()
    with at_home(home), _importable(place.parent):
        function = _function(_run(path, place), path, name, "function")

    @functools.wraps(function)
    def called(*args: Any) -> Any:
        with at_home(home), _importable(place.parent):
            return function(*args)

    return called


def _run(path: Path, place: Path) -> ModuleType:
    """Run a file; `place` is its whole path, `path` that which messages show."""
    spec = spec_of_source(_MODULE_NAME, place)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file; expected file:PATH.py:FACTORY. Check the model spec.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and other library code look up the running module in `sys.modules`.
    sys.modules[_MODULE_NAME] = module
    loader = spec.loader
    _guarded(lambda: loader.exec_module(module), str(path), place.parent)
    return module


def _function(module: ModuleType, path: Path, factory: str, kind: str = "factory") -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(module, factory, None)
    if kind == "factory" and isinstance(found, nn.Module):
        raise UsageError(
            f"{path}: {factory} is a model; expected a function that returns one. Write a function that returns it, "
            "and name that."
        )
    if found is not None and callable(found):
        return found
    defined = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == _MODULE_NAME and not name.startswith("_")
    ]
    raise unknown_name(kind, factory, defined, hint=f"{path.name} must define it as a function.")


def _guarded(call: Callable[[], Any], where: str, folder: Path) -> Any:
    try:
        return call()
    except (XaiEvalError, KeyboardInterrupt):
        raise
    # Whatever the code of the user raises, including calls of sys.exit(), means that the model cannot be loaded.
    except BaseException as error:
        what = f"{where} raised {error_line(error).rstrip('.')}"
        pointer = _pointer_near(folder)
        if pointer:
            raise InputUnavailable(f"{pointer_sentence(pointer)} ({what}.)") from error
        advice = _about_folder(error) or "Call it in Python by itself to see the whole trace."
        raise InputUnavailable(f"{what}. {advice}") from error


def _about_folder(error: BaseException) -> str:
    """Say where a file was looked for, if code of a user did not find one by a relative path; else nothing."""
    name = error.filename if isinstance(error, FileNotFoundError) else None
    if not isinstance(name, str | os.PathLike) or Path(name).is_absolute():
        return ""
    return (
        f"It was looked for in {Path.cwd()}: the folder of the configuration file, or without one that in which the "
        'command was started. Start there, or write Path(__file__).parent / "..." in the Python file.'
    )


def _pointer_near(folder: Path) -> Path | None:
    """Return a file of weights in `folder` that was not fetched, which is often why code there raises."""
    near = itertools.islice(folder.rglob("*"), _LOOKED_AT)
    return next((each for each in near if each.suffix in _WEIGHTS and is_pointer_file(each)), None)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    paths, modules = list(sys.path), dict(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = paths
        for name in set(sys.modules) - set(modules):
            if name == _MODULE_NAME or _lies_in(sys.modules[name], folder):
                del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).resolve().is_relative_to(folder)
