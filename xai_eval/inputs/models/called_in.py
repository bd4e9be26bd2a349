"""The folder in which code of the user runs while it loads a model: its relative paths are relative to this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from xai_eval.inputs.models.host_state import host_kept

_FOLDER: ContextVar[Path | None] = ContextVar("folder of factories", default=None)


@contextmanager
def factories_called_in(folder: Path | None) -> Iterator[None]:
    """Call factories in a folder while the context is open: that of the configuration file, wherever a command starts.

    Args:
        folder: the folder; the working directory if None.
    """
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def folder_of_factories() -> Path:
    """Return the folder in which factories are called now."""
    return _FOLDER.get() or Path.cwd()


@contextmanager
def at_home(folder: Path) -> Iterator[list[str]]:
    """Work in a folder; restore it, and all that code of a user sets for the whole process, when the context ends.

    Yields:
        A list. At the end it names the settings of arithmetic that were changed inside, and that were restored.
    """
    with host_kept() as changed:
        os.chdir(folder)
        yield changed
