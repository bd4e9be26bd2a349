"""Writing to disk so that a killed process, a full disk or a second process leaves no half-written file."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from xai_eval.errors import StorageError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.EACCES: ("permission is denied", "choose another folder or change its permissions"),
    errno.EPERM: ("permission is denied", "choose another folder or change its permissions"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "choose another folder"),
    errno.EEXIST: ("a file stands where a folder is needed", "choose another folder"),
}


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files of `contents` (name -> bytes) into `folder`, or none.

    Every file is written in full under a temporary name first; only then are they renamed into place, in the
    order given. Put the file that vouches for the others last.

    Raises:
        StorageError: the folder cannot be made or written; the earlier files are left as they were.
    """
    temporary: list[tuple[str, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            # The handle is kept outside of the list until it exists, so that nothing is lost if this fails.
            handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            temporary.append((path, folder / name))
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, destination in temporary:
            Path(path).chmod(0o666 & ~_umask())
            Path(path).replace(destination)
    except OSError as error:
        reason, advice = _REASONS.get(error.errno or 0, (str(error), "see the system's message"))
        raise StorageError(
            f"cannot write into {folder}: {reason}; {advice} and run again. Nothing was changed there."
        ) from error
    finally:
        for path, _ in temporary:
            with contextlib.suppress(OSError):
                Path(path).unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write one file in full, or not at all. Raises StorageError as `write_files` does."""
    write_files(path.parent, {path.name: data})


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
