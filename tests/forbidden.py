"""A folder that may not be looked into, also for root, whom permissions do not stop."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

_LOOKS_INSIDE = ((os, "scandir"), (os, "listdir"), (os, "open"), (io, "open"))
_LOOKS_AT = ((os, "stat"), (os, "lstat"), (os, "mkdir"), (os, "rmdir"))


def forbid(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let the system refuse what it refuses after `chmod 000`: to list a folder, and all that lies in it."""
    for owner, name in (*_LOOKS_INSIDE, *_LOOKS_AT):
        itself_too = (owner, name) in _LOOKS_INSIDE
        monkeypatch.setattr(owner, name, _refusing(getattr(owner, name), folder.absolute(), itself_too))
    return folder


def _refusing(call: Any, folder: Path, itself_too: bool) -> Any:
    def guarded(path: Any = ".", *args: Any, **options: Any) -> Any:
        if isinstance(path, str | os.PathLike):
            place = Path(os.path.abspath(path))  # noqa: PTH100 (resolve would look at it)
            if folder in place.parents or (itself_too and place == folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return call(path, *args, **options)

    return guarded
