"""Locks a folder, so that only one process writes into it: a file in the folder names this process."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from xai_eval.disk.files import unwritable
from xai_eval.errors import StorageError, UsageError

LOCK_FILE = ".xai-eval.lock"
_TRIES, _PAUSE = 50, 0.02


def this_process() -> str:
    """Return the name of this process as the owner of a lock: process id and host."""
    return f"{os.getpid()} {platform.node()}"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder` for this process while the context is open; a lock it had before stays. Raises as `acquire`."""
    owner = this_process()
    first = acquire(folder, owner)
    try:
        yield
    finally:
        if first:
            release(folder, owner)


def acquire(folder: Path, owner: str) -> bool:
    """Lock `folder` for `owner`. A lock that a dead process of this host left behind is taken over.

    Returns:
        False if `owner` had locked the folder already: all workers of one pytest run have the same owner.

    Raises:
        UsageError: another process has locked it.
        StorageError: the folder cannot be written.
    """
    path = folder / LOCK_FILE
    for _ in range(_TRIES):
        if _create(path, owner):
            return True
        holder = _holder(path)
        if holder == owner:
            return False
        if _is_dead(holder):
            _remove_dead(path)
        elif holder:
            raise _in_use(path, holder)
        else:
            time.sleep(_PAUSE)  # the lock was just released, or made but not written yet
    raise _in_use(path, "unknown")


def release(folder: Path, owner: str) -> None:
    """Unlock `folder` if `owner` has locked it."""
    path = folder / LOCK_FILE
    with contextlib.suppress(OSError):
        if _holder(path) == owner:
            path.unlink()


def _create(path: Path, owner: str) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        if path.parent.is_dir():
            return False
        raise StorageError(f"cannot write into {path.parent}: a file stands there; choose another folder.") from None
    except OSError as error:
        raise unwritable(path.parent, error) from error
    with os.fdopen(handle, "w") as file:
        file.write(owner)
    return True


def _holder(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        return "unknown"


def _is_dead(holder: str) -> bool:
    pid, _, host = holder.partition(" ")
    # Only on POSIX systems can a process be looked up without disturbing it.
    if host != platform.node() or not pid.isdigit() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _remove_dead(path: Path) -> None:
    """Remove the lock of a dead process, but not a lock that another process wrote in its place in the meantime."""
    import fcntl  # exists only on POSIX systems, and no lock counts as dead on others

    with contextlib.suppress(FileNotFoundError), path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # While the file is open, no other file can get its inode number.
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino and _is_dead(_holder(path)):
            path.unlink()


def _in_use(path: Path, holder: str) -> UsageError:
    pid, _, host = holder.partition(" ")
    return UsageError(
        f"{path.parent} is in use by process {pid}{f' on {host}' if host else ''}: wait for it, or choose another "
        f"folder. If no such run is under way, remove {path}."
    )
