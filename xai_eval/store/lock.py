"""Locks a folder, so that only one process writes into it: a file in the folder names this process."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from xai_eval.disk.door import opened, read_text
from xai_eval.disk.files import write_new_file
from xai_eval.errors import UsageError
from xai_eval.store.processes import has_another_start, id_space, process_start

LOCK_FILE = ".xai-eval.lock"
_TRIES, _PAUSE = 50, 0.02
# A lock that is empty for longer was left by a process of an earlier version, or by a machine that went down.
_LONGEST_EMPTY = 10.0  # seconds
_LONGEST = 512  # bytes
# Process id, host, when the process began, and where its id counts; locks of earlier versions lack the last two.
_HOLDER = re.compile(r"(\d{1,20}) ([\w.:-]{1,255})(?: (\d{1,20}))?(?: (\d{1,20}))?", re.ASCII)


def this_process() -> str:
    """Return the name of this process as the owner of a lock: process id, host, when it began, where its id counts."""
    return _name_of(os.getpid())


@functools.cache
def _name_of(pid: int) -> str:
    start = process_start(pid)
    return " ".join(filter(None, [str(pid), _host(), start, start and id_space()]))


def _host() -> str:
    return re.sub(r"[^\w.:-]", "-", platform.node(), flags=re.ASCII)[:255] or "unknown"


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
        if _is_left(path, holder):
            _remove_dead(path)
        elif holder:
            raise _in_use(path, holder)
        else:
            time.sleep(_PAUSE)  # the lock was just released, or made but not written yet
    raise _in_use(path, "unknown")


def is_left_locked(folder: Path) -> bool:
    """Tell whether a process that was killed left its lock in `folder`."""
    path = folder / LOCK_FILE
    return _is_left(path, _holder(path))


def release(folder: Path, owner: str) -> None:
    """Unlock `folder` if `owner` has locked it."""
    path = folder / LOCK_FILE
    with contextlib.suppress(OSError):
        if _holder(path) == owner:
            path.unlink()


def _create(path: Path, owner: str) -> bool:
    """Write the lock if there is none. It appears with its content, because an empty one would block everybody."""
    return write_new_file(path, owner.encode())


def _holder(path: Path) -> str:
    try:
        return read_text(path, _LONGEST).strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        return "unknown"


def _is_left(path: Path, holder: str) -> bool:
    return _is_dead(holder) or (os.name == "posix" and _is_left_empty(path))


def _is_left_empty(path: Path) -> bool:
    """Whether the lock has been empty for so long that nobody can be about to write into it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and not found.st_size and abs(time.time() - found.st_mtime) > _LONGEST_EMPTY


def _is_dead(holder: str) -> bool:
    """Whether a process of this host has ended. Another process may have its id by now.

    Of a process in another container nothing can be said, although the host may have the same name.
    """
    found = _HOLDER.fullmatch(holder)
    # Only on POSIX systems can a process be looked up without disturbing it.
    if found is None or found[2] != _host() or os.name != "posix":
        return False
    if found[4] is not None and found[4] != id_space():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return has_another_start(int(found[1]), found[3])


def _remove_dead(path: Path) -> None:
    """Remove the lock of a dead process, but not a lock that another process wrote in its place in the meantime."""
    import fcntl  # exists only on POSIX systems, and no lock counts as dead on others

    with contextlib.suppress(OSError), opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # While the file is open, no other file can get its inode number.
        if path.lstat().st_ino == os.fstat(file.fileno()).st_ino and (_is_dead(_holder(path)) or _is_left_empty(path)):
            path.unlink()


def _in_use(path: Path, holder: str) -> UsageError:
    found = _HOLDER.fullmatch(holder)
    # Anybody may have written the file, so nothing of it is shown that is not the name of a process.
    who = f"process {found[1]} on {found[2]}" if found else "a process that is not known"
    return UsageError(
        f"{path.parent} is in use by {who}: wait for it, or choose another folder. If no such run is under way, remove "
        f"{path}."
    )
