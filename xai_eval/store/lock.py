"""One writer a report folder: a file there says which process has it."""

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
    """Name this process as the owner of a lock: its id and its host."""
    return f"{os.getpid()} {platform.node()}"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have `folder` for this process alone, which keeps it if it had it before. Raises what `acquire` raises."""
    owner = this_process()
    first = acquire(folder, owner)
    try:
        yield
    finally:
        if first:
            release(folder, owner)


def acquire(folder: Path, owner: str) -> bool:
    """Make `owner` the one that writes into `folder`; a lock that a dead process of this host left is taken over.

    Returns:
        False if `owner` had the folder already, as workers of one pytest run find it.

    Raises:
        UsageError: another process has it.
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
            time.sleep(_PAUSE)  # just released, or made and not yet written
    raise _in_use(path, "unknown")


def release(folder: Path, owner: str) -> None:
    """Give `folder` back if `owner` has it."""
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
    # Only POSIX can ask for a process without disturbing it.
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
    """Remove the lock of a dead process, but not one that another process put in its place meanwhile."""
    import fcntl  # POSIX alone, as is the question whether a process is dead

    with contextlib.suppress(FileNotFoundError), path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # While it is open, no other file can have its number.
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino and _is_dead(_holder(path)):
            path.unlink()


def _in_use(path: Path, holder: str) -> UsageError:
    pid, _, host = holder.partition(" ")
    return UsageError(
        f"{path.parent} is in use by process {pid}{f' on {host}' if host else ''}: wait for it, or choose another "
        f"folder. If no such run is under way, remove {path}."
    )
