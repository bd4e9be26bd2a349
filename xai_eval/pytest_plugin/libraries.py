"""Finds the libraries that a test uses, by what its file imports, so that a changed value has their versions."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# They run and judge the test; what it computes does not depend on them.
_NO_PART = {"pytest", "_pytest", "xai_eval"}
_INSTALLED = {"site-packages", "dist-packages"}


def library_versions(item: pytest.Item, values: Iterable[object]) -> dict[str, str]:
    """Return the versions of libraries by the names of their distributions, in alphabetical order.

    They are the libraries of the values, numpy, and what the file of the test imports, also by way of other files of
    the same project. What another test has imported does not count, so that any selection of tests gives the same.
    """
    tops = {"numpy", *(type(value).__module__.partition(".")[0] for value in values)}
    for module in _own_modules(getattr(item, "module", None)):
        tops.update(home.partition(".")[0] for home in _homes(module))
    names = {name for top in tops - _NO_PART for name in _distributions().get(top, ())}
    return {name: _version(name) for name in sorted(names)}


@functools.cache
def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)


@functools.cache
def _distributions() -> Mapping[str, Sequence[str]]:
    """Return the distributions that hold each module; cached, because pytest may check thousands of values."""
    return importlib.metadata.packages_distributions()


def _own_modules(start: ModuleType | None) -> Iterator[ModuleType]:
    """Yield the module of a test and the modules that it imports, as far as they are not installed."""
    found: dict[str, ModuleType] = {}
    waiting = [start] if start else []
    while waiting:
        module = waiting.pop()
        if module.__name__ not in found and _is_own(module):
            found[module.__name__] = module
            waiting += [sys.modules[home] for home in _homes(module) if home in sys.modules]
            yield module


def _is_own(module: ModuleType) -> bool:
    """Whether a module is a file of the project of the test: neither installed nor a part of Python."""
    file, top = getattr(module, "__file__", None), module.__name__.partition(".")[0]
    if not isinstance(file, str) or top in _NO_PART or top in sys.stdlib_module_names:
        return False
    return not _INSTALLED & set(Path(file).parts)


def _homes(module: ModuleType) -> set[str]:
    """Return the names of the modules that the global names of a module come from."""
    return {home for value in list(vars(module).values()) if (home := _home(value))}


def _home(value: Any) -> str:
    with contextlib.suppress(Exception):  # any object may stand here, and its attributes may be code
        home = value.__name__ if isinstance(value, ModuleType) else value.__module__
        return home if isinstance(home, str) else ""
    return ""
