"""Paths that users give. A path that cannot be read is an error that names it; it never counts as missing."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xai_eval.disk.system_errors import place_of, refusal
from xai_eval.errors import InputUnavailable, UsageError


def given_path(text: str | os.PathLike[str]) -> Path:
    """Return a path with `~` and `~user` replaced by the home folder.

    Raises:
        UsageError: there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: {error}. Write the whole path of the folder.") from error


@contextmanager
def readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise InputUnavailable if the system refuses access to `path`, or to a path below it, inside the context."""
    try:
        yield
    except OSError as error:
        found = refusal(error, "check its name and its permissions")
        raise InputUnavailable(f"{place_of(error, path)} cannot be read ({found.reason}). {found.sentence}") from error


def files_matching(folder: Path, pattern: str) -> list[Path]:
    """Return what is below a folder and matches a glob pattern, but for folders; also links that lead nowhere.

    Raises:
        OSError: a folder that the pattern leads to cannot be listed. (pathlib would leave out its files silently.)
        ValueError: the text is not a valid pattern.
    """
    parts = Path(pattern).parts
    for end in (end for end, part in enumerate(parts) if glob.has_magic(part)):
        for place in folder.glob("/".join(parts[:end])) if end else [folder]:
            if place.is_dir():
                os.scandir(place).close()
    return [path for path in folder.glob(pattern) if not path.is_dir()]
