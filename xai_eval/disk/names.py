"""Names of folders that every file system takes, so that goldens can be checked out on Windows and macOS, too."""

from __future__ import annotations

import errno
import re
from pathlib import Path

# Devices of Windows, whatever stands behind a dot; characters that Windows refuses; what ends in a dot or space.
_REFUSED = re.compile(
    r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?|.*[<>:\"|?*\\\x00-\x1f].*|.*[. ]", re.DOTALL | re.I
)
_LONGEST = 255  # bytes


def is_portable(name: str) -> bool:
    """Tell whether every file system takes a name for a folder, and whether a person sees all of it."""
    hidden = name.startswith(".") or "/" in name or not name.isprintable() or not name.strip()
    return not hidden and _is_taken(name)


def _is_taken(name: str) -> bool:
    return not _REFUSED.fullmatch(name) and len(name.encode("utf-8", "surrogateescape")) <= _LONGEST


def require_portable(root: Path, place: Path) -> None:
    """Check the names of all folders between `root` and `place`.

    Raises:
        OSError: Windows cannot have a folder of such a name, or it is too long.
    """
    for name in place.relative_to(root).parts if place.is_relative_to(root) else ():
        if not _is_taken(name):
            raise OSError(errno.EINVAL, f"{name!r} cannot be the name of a folder on every system")
