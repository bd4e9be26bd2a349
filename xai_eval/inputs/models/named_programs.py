"""Which files may run while a case is computed again: those that a person named, never those of stored data.

A golden or a record of a run may come from a stranger. A spec `file:PATH.py:NAME` in it is a label: it runs only if the
command line, the configuration file or a test names the same file and function.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.errors import UsageError
from xai_eval.media.shell import word

_PREFIX = "file:"


@dataclass(frozen=True)
class Program:
    """A function in a Python file: the whole path of the file, and the name of the function."""

    path: str
    name: str

    @classmethod
    def of(cls, path: Path, name: str) -> Program:
        """Return the program at a path as seen from the working directory."""
        return cls(os.path.abspath(path.expanduser()), name)  # noqa: PTH100 (a link is another name, which was not given)


_NAMED: ContextVar[frozenset[Program] | None] = ContextVar("named programs", default=None)


@contextmanager
def only_programs(named: Iterable[Program]) -> Iterator[None]:
    """Let only these programs run while the context is open. Without such a context every program may run."""
    token = _NAMED.set(frozenset(named))
    try:
        yield
    finally:
        _NAMED.reset(token)


def programs_in(value: Any) -> Iterator[Program]:
    """Yield every program that a spec, or anything in a list or mapping of specs, names."""
    if isinstance(value, str):
        yield from _program(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from programs_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from programs_in(each)


def require_named(path: Path, name: str) -> None:
    """Check that a person named a program, if only such programs may run now.

    Raises:
        UsageError: only stored data names it.
    """
    named = _NAMED.get()
    if named is None or Program.of(path, name) in named:
        return
    spec = f"{_PREFIX}{path}:{name}"
    raise UsageError(
        f"{spec} is named only by stored data (a golden, or the record of a run), which anybody may have written, so "
        f"it is not run. Look at {path}. If it is yours, name it in the configuration file, or with --model "
        f"{word(spec)} (the golden's model with --old-model, a method with --methods)"
    )


def _program(spec: str) -> Iterator[Program]:
    file, _, name = spec.removeprefix(_PREFIX).partition("?")[0].rpartition(":")
    if spec.startswith(_PREFIX) and file:
        yield Program.of(Path(file), name)
