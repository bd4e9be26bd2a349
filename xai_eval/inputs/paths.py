"""Paths that people give: what cannot be looked at is an error that names it, never a thing that is not there."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError


def given_path(text: str | os.PathLike[str]) -> Path:
    """Return a path with `~` and `~user` spelled out.

    Raises:
        UsageError: there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: {error}. Spell the folder out.") from error


@contextmanager
def readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system refuses while `path` is looked at (or below it) into InputUnavailable."""
    try:
        yield
    except OSError as error:
        raise InputUnavailable(
            f"{error.filename or path} cannot be read ({error.strerror or error}). Check its name and its permissions."
        ) from error


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder; hidden folders are left out.

    Raises:
        OSError: the folder, or one below it, cannot be listed; pathlib would go on without its files.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place) / name for name in names]
    return [path for path in found if path.is_file()]


def files_matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files that match a pattern, relative to a folder.

    Raises:
        OSError: a folder that the pattern leads to cannot be listed; pathlib would go on without its files.
        ValueError: it is no pattern.
    """
    parts = Path(pattern).parts
    for end in (end for end, part in enumerate(parts) if glob.has_magic(part)):
        for place in folder.glob("/".join(parts[:end])) if end else [folder]:
            if place.is_dir():
                os.scandir(place).close()
    return [path for path in folder.glob(pattern) if path.is_file()]


def _refuse(error: OSError) -> None:
    raise error
