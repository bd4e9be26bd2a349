"""Writes and reads the files of results.

A killed process, a full disk or a second process never leaves a half-written file. A file that cannot be read is an
error, and is never mistaken for a file that does not exist.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import itertools
import os
import random
import re
import shutil
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xai_eval.disk.bounds import MOST_JSON_BYTES
from xai_eval.disk.door import is_link, is_own_folder, read_bytes, require_no_links
from xai_eval.disk.git_lfs import is_pointer, pointer_sentence
from xai_eval.disk.names import require_portable
from xai_eval.disk.strict_json import parse_json
from xai_eval.disk.system_errors import Refusal, place_of, refusal
from xai_eval.errors import StorageError, TooManyOpenFiles, XaiEvalError

_LETTERS = f"{string.ascii_lowercase}{string.digits}_"
_TRIES = 3
_RANDOM = 8  # letters at the end of a temporary name
_TEMPORARY = re.compile(rf"\.(.+)\.[a-z0-9_]{{{_RANDOM}}}", re.DOTALL)


def write_files(folder: Path, contents: Mapping[str, bytes], *, root: Path | None = None) -> None:
    """Write all files of `contents` (name -> bytes) into `folder`, or none.

    Every file is first written completely under a temporary name. Only then are all files renamed, in the given order.
    If one of them cannot be renamed, the others get back what they were. The last one should be the file that holds
    the digests of the others, because a killed process may have renamed only some of them; what they replaced is then
    still there under a temporary name. A folder that is new appears with all of its files at once.

    Args:
        folder: the folder; it is made if it is missing.
        contents: the files.
        root: the folder that a user named, which may be a link; no folder between it and `folder` may be one. `folder`
            itself if it is None.

    Raises:
        StorageError: the folder cannot be made or written; the earlier files are left as they were.
    """
    _write(folder, {name: [data] for name, data in contents.items()}, root)


def write_streams(folder: Path, contents: Mapping[str, Iterable[bytes]], *, root: Path | None = None) -> None:
    """Write files from parts, because they may be too large for the memory; all of them or none, as `write_files`.

    Raises:
        StorageError: as `write_files`.
    """
    _write(folder, contents, root)


def write_new_file(path: Path, data: bytes) -> bool:
    """Write a file where there is none; return False, and change nothing, if there is one already.

    Raises:
        StorageError: as `write_files`.
    """
    try:
        with contextlib.ExitStack() as undo:
            _make_folder(path.parent, undo)
            made = any(_link_new(path, data) for _ in range(_TRIES))
            if made:
                undo.pop_all()
            remove_temporaries(path.parent, [path.name])
            return made
    except OSError as error:
        raise unwritable(path.parent, error) from error


def _link_new(path: Path, data: bytes) -> bool:
    """Write a file completely under a temporary name, and give it its path if there is nothing."""
    if is_link(path) or exists(path):
        return False
    temporary = temporary_name(path)
    _write_whole(temporary, [data])
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):
        return False  # somebody was faster, or has cleared the temporary file, and it has to be tried again
    except OSError:  # a file system without such links
        with contextlib.suppress(FileExistsError):
            _write_whole(path, [data])
            return True
        return False
    finally:
        _quietly(temporary.unlink)
    return True


def _write(folder: Path, contents: Mapping[str, Iterable[bytes]], root: Path | None) -> None:
    try:
        require_no_links(root or folder, folder)
        require_portable(root or folder, folder)
        with contextlib.ExitStack() as undo:
            _make_folder(folder.parent, undo)
            if exists(folder):
                _require_no_folders(folder, contents)
                publish(_staged(folder, contents, undo))
            else:
                _write_new_folder(folder, contents, undo)
            undo.pop_all()
    except OSError as error:
        raise unwritable(folder, error) from error


def _write_new_folder(folder: Path, contents: Mapping[str, Iterable[bytes]], undo: contextlib.ExitStack) -> None:
    """Write the files into a folder with a temporary name, and rename it."""
    hidden = temporary_name(folder)
    hidden.mkdir()
    undo.callback(_quietly, functools.partial(_remove_tree, hidden))
    for name, parts in contents.items():
        _write_whole(hidden / name, parts)
    try:
        hidden.rename(folder)
    except OSError:
        if not exists(folder):
            raise
        # Another process has made the folder meanwhile.
        publish([(hidden / name, folder / name) for name in contents])
        hidden.rmdir()


def unwritable(folder: Path, error: OSError) -> XaiEvalError:
    """Return the error that says why nothing was written into `folder`."""
    try:
        if error.errno == errno.EINVAL and error.strerror:
            found = refusal(error, "choose another name")
        elif error.errno == errno.ELOOP and error.strerror != os.strerror(errno.ELOOP):
            reason = f"{error.filename or folder} is a link, and nothing is written through links"
            found = Refusal(reason, "put an ordinary file or folder there")
        else:
            found = refusal(error, "choose another folder")
    except TooManyOpenFiles as many:
        return many
    return StorageError(
        f"cannot write into {folder}: {found.reason}; {found.advice} and run again. Nothing was changed there."
    )


def opening_for_addition(path: str, flags: int) -> int:
    """Open a file that another program named, as the opener of `open`: a FIFO that nobody reads is an OSError."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def write_file(path: Path, data: bytes) -> None:
    """Write one file completely or not at all. Raises StorageError as `write_files` does."""
    write_files(path.parent, {path.name: data})


def remove_temporaries(folder: Path, names: Iterable[str]) -> None:
    """Remove the temporary files that a killed process left behind while it wrote the files `names`.

    No other process may be writing into the folder. Files that cannot be removed are left, because they do no harm.
    Nothing is done to a folder that is a link.
    """
    files = tuple(names)
    for path in folder.glob(".*") if is_own_folder(folder) else ():
        if is_temporary(path, files) and not is_own_folder(path):
            _quietly(path.unlink)


def is_temporary(path: Path, names: Iterable[str]) -> bool:
    """Whether `path` has the name of a temporary file that a killed process leaves of one of the files `names`."""
    return any(fnmatch.fnmatchcase(path.name, f".{name}.{'[a-z0-9_]' * _RANDOM}") for name in names)


def temporary_of(path: Path) -> str:
    """Return the name that a file or folder was to have that has a temporary one; an empty text if it has none."""
    found = _TEMPORARY.fullmatch(path.name)
    return found[1] if found else ""


def remove_folder(root: Path, place: Path) -> None:
    """Delete a folder and all in it: first it gets a temporary name, so that a killed process leaves it whole or gone.

    Raises:
        OSError: it cannot be deleted, or it, or a folder between it and `root`, is a link.
    """
    require_no_links(root, place)
    hidden = temporary_name(place)
    place.rename(hidden)
    _remove_tree(hidden)


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except RecursionError as error:  # Python calls itself for each folder in another
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(folder)) from error


def remove_file(root: Path, path: Path) -> None:
    """Delete a file, or a link itself, if it is there.

    Raises:
        OSError: it cannot be deleted, or a folder between it and `root` is a link.
    """
    require_no_links(root, path.parent)
    path.unlink(missing_ok=True)


def remove_empty_folder(root: Path, folder: Path) -> None:
    """Delete a folder, unless it holds something.

    Raises:
        OSError: a folder between it and `root`, or itself, is a link.
    """
    require_no_links(root, folder)
    _quietly(folder.rmdir)


def remove_temporary_folders(parent: Path, is_name: Callable[[str], bool]) -> None:
    """Delete the folders that a killed process was writing or deleting, if `is_name` says so of their names."""
    for path in parent.glob(".*") if is_own_folder(parent) else ():
        if is_name(temporary_of(path)) and is_own_folder(path):
            _quietly(functools.partial(_remove_tree, path))


def read_json(path: Path) -> Any:
    """Read a JSON file that anybody may have edited.

    Raises:
        StorageError: it is a Git LFS pointer.
        OSError: it cannot be read.
        ValueError: as `parse_json`.
    """
    return parse_json(read_json_text(path))


def read_json_text(path: Path) -> bytes:
    """Return the text of a JSON file, for `parse_json`.

    Raises:
        StorageError: it is a Git LFS pointer.
        OSError: it cannot be read.
    """
    content = read_bytes(path, MOST_JSON_BYTES)
    if is_pointer(content):
        raise StorageError(pointer_sentence(path))
    return content


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
        found = refusal(error, "put an ordinary file there")
        raise StorageError(f"{place_of(error, path)} cannot be read: {found.reason}; {found.advice}.") from error


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    missing = [each for each in (folder, *folder.parents) if not exists(each)]
    for each in reversed(missing):
        undo.callback(_quietly, each.rmdir)
    folder.mkdir(parents=True, exist_ok=True)


def _require_no_folders(folder: Path, names: Iterable[str]) -> None:
    """Check this before anything is renamed, because a folder cannot be replaced by a file."""
    for name in names:
        if (folder / name).is_dir() and not is_link(folder / name):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder / name))


def _staged(
    folder: Path, contents: Mapping[str, Iterable[bytes]], undo: contextlib.ExitStack
) -> list[tuple[Path, Path]]:
    """Write all files under temporary names; return these, each with the path that it shall have."""
    found = []
    for name, parts in contents.items():
        temporary = temporary_name(folder / name)
        _write_whole(temporary, parts)
        undo.callback(_quietly, temporary.unlink)
        found.append((temporary, folder / name))
    return found


def publish(staged: Sequence[tuple[Path, Path]]) -> None:
    """Give files that are written their final paths, in order: all of them or none.

    Raises:
        OSError: the system refuses; every path has its earlier file again.
        StorageError: it refuses that as well.
    """
    done: list[tuple[Path, Path | None]] = []
    backups: list[Path | None] = []
    try:
        # Renaming the last file is one step, which needs no way back.
        for _, destination in staged[:-1]:
            backups.append(_backup(destination))
        for (temporary, destination), backup in itertools.zip_longest(staged, backups):
            temporary.replace(destination)
            done.append((destination, backup))
    except BaseException as error:
        _take_back(done, error)
        raise
    finally:
        for backup in backups:
            if backup is not None:
                _quietly(backup.unlink)


def _backup(destination: Path) -> Path | None:
    """Keep a file under a temporary name as well; None if there is none."""
    if is_link(destination) or not exists(destination):
        return None
    backup = temporary_name(destination)
    try:
        os.link(destination, backup)
    except OSError:  # a file system without such links
        _write_whole(backup, [read_bytes(destination)])
    return backup


def _take_back(done: Sequence[tuple[Path, Path | None]], error: BaseException) -> None:
    for destination, backup in reversed(done):
        try:
            if backup is None:
                destination.unlink(missing_ok=True)
            else:
                backup.replace(destination)
        except OSError as again:
            raise StorageError(
                f"{destination} was replaced before writing failed ({error}), and cannot be put back ({again}). "
                f"Restore {destination.parent} from version control, or run again."
            ) from error


def _write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file that is not there yet, with the permissions of any new file."""
    # O_EXCL does not follow a link that somebody put there.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            _sync(file.fileno())
    except BaseException:
        _quietly(path.unlink)
        raise


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems, such as those of FUSE, have no such call. A full disk shows only here and is an error.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY):
            raise


def temporary_name(path: Path) -> Path:
    """Return a hidden path beside `path` that no file has, by which `is_temporary` recognises what is left there."""
    letters = "".join(random.SystemRandom().choices(_LETTERS, k=_RANDOM))
    return path.with_name(f".{path.name}.{letters}")


def _quietly(action: Callable[[], object]) -> None:
    with contextlib.suppress(OSError):
        action()
