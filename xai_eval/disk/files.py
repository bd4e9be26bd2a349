"""Writes and reads the files of results.

A killed process, a full disk or a second process never leaves a half-written file. A file that cannot be read is an
error, and is never mistaken for a file that does not exist.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xai_eval.disk.bounds import MOST_JSON_BYTES, read_bounded
from xai_eval.disk.git_lfs import is_pointer, pointer_sentence
from xai_eval.disk.strict_json import parse_json
from xai_eval.errors import StorageError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.EACCES: ("permission is denied", "choose another folder or change its permissions"),
    errno.EPERM: ("permission is denied", "choose another folder or change its permissions"),
    errno.EISDIR: ("there is a folder where a file is needed", "move it away"),
    errno.ENOTDIR: ("there is a file where a folder is needed", "choose another folder"),
    errno.EEXIST: ("there is a file where a folder is needed", "choose another folder"),
}


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files of `contents` (name -> bytes) into `folder`, or none.

    Every file is first written completely under a temporary name. Only then are all files renamed, in the given order.
    The last one should be the file that holds the digests of the others.

    Raises:
        StorageError: the folder cannot be made or written; the earlier files are left as they were.
    """
    _write(folder, {name: [data] for name, data in contents.items()})


def write_stream(path: Path, parts: Iterable[bytes]) -> None:
    """Write one file from parts, because it may be too large for the memory. It is written completely or not at all.

    Raises:
        StorageError: as `write_files`.
    """
    _write(path.parent, {path.name: parts})


def _write(folder: Path, contents: Mapping[str, Iterable[bytes]]) -> None:
    try:
        with contextlib.ExitStack() as undo:
            _make_folder(folder, undo)
            _require_no_folders(folder, contents)
            temporary = [
                (_write_temporary(folder, name, parts, undo), folder / name) for name, parts in contents.items()
            ]
            for path, destination in temporary:
                path.chmod(0o666 & ~_umask())
                path.replace(destination)
            undo.pop_all()
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> StorageError:
    """Return the error that says why nothing was written into `folder`."""
    reason, advice = _REASONS.get(error.errno or 0, (str(error), "see the system's message"))
    return StorageError(f"cannot write into {folder}: {reason}; {advice} and run again. Nothing was changed there.")


def write_file(path: Path, data: bytes) -> None:
    """Write one file completely or not at all. Raises StorageError as `write_files` does."""
    write_files(path.parent, {path.name: data})


def remove_temporaries(folder: Path, names: Iterable[str]) -> None:
    """Remove the temporary files that a killed process left behind while it wrote the files `names`.

    No other process may be writing into the folder. Files that cannot be removed are left, because they do no harm.
    """
    files = tuple(names)
    for path in folder.glob(".*"):
        if is_temporary(path, files):
            _quietly(path.unlink)


def is_temporary(path: Path, names: Iterable[str]) -> bool:
    """Whether `path` has the name of a temporary file that a killed process leaves of one of the files `names`."""
    return any(fnmatch.fnmatchcase(path.name, f".{name}.{'[a-z0-9_]' * 8}") for name in names)


def read_json(path: Path) -> Any:
    """Read a JSON file that anybody may have edited.

    Raises:
        StorageError: it is a Git LFS pointer.
        OSError: it cannot be read.
        ValueError: as `parse_json`.
    """
    content = read_bounded(path, MOST_JSON_BYTES)
    if is_pointer(content):
        raise StorageError(pointer_sentence(path))
    return parse_json(content)


def exists(path: Path) -> bool:
    """Return whether there is a file or folder at `path`.

    `Path.exists` is not used: from Python 3.14 on it returns False if access is denied.

    Raises:
        OSError: access is denied, or there is a file where a folder is needed.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def accessible(path: Path) -> Iterator[None]:
    """Turn errors of the system while `path`, or anything below it, is read into StorageError."""
    try:
        yield
    except OSError as error:
        reason, advice = _REASONS.get(error.errno or 0, (error.strerror or str(error), "check its name"))
        raise StorageError(f"{error.filename or path} cannot be read: {reason}; {advice}.") from error


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    missing = [each for each in (folder, *folder.parents) if not exists(each)]
    for each in reversed(missing):
        undo.callback(_quietly, each.rmdir)
    folder.mkdir(parents=True, exist_ok=True)


def _require_no_folders(folder: Path, names: Iterable[str]) -> None:
    """Check this before anything is renamed, because a failure between two renames would leave half of the files."""
    for name in names:
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))


def _write_temporary(folder: Path, name: str, parts: Iterable[bytes], undo: contextlib.ExitStack) -> Path:
    handle, path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    undo.callback(_quietly, Path(path).unlink)
    with os.fdopen(handle, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    return Path(path)


def _quietly(action: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        action()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
