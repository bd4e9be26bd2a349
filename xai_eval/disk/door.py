"""The one door through which files are read: ordinary files of bounded size, and links only where a user names one.

What a stranger hands in may contain a link to `/dev/zero`, a FIFO that nobody writes to, or a file that fills the
memory. Everything that is wrong with a file is an OSError that says what it is, so that callers treat it like a file
that cannot be read.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from xai_eval.disk.system_errors import check_open_files

MEBIBYTE = 2**20
# A result document takes some kilobytes, a page some megabytes. What needs more is given its own limit.
MOST_BYTES = 256 * MEBIBYTE
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# Flags that Windows lacks are 0. Without O_NONBLOCK, opening a FIFO that nobody writes to would never end.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_JUNCTION = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT of Windows
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class TooLarge(OSError):
    """A file has more bytes than any of its kind needs."""


def opened(path: Path, *, follow: bool = False) -> BufferedReader:
    """Open an ordinary file for reading, as a context that closes it.

    What is opened is what was checked: the kind of the file is asked of the open file again, so that nobody can put
    something else in its place between the two.

    Args:
        path: the file.
        follow: whether it may be a link. Only paths that a user names are followed, never those of stored data.

    Raises:
        OSError: it is missing or cannot be read; it is a folder, a FIFO, a socket or a device; or it is a link and
            `follow` is False.
        TooManyOpenFiles: no file can be opened.
    """
    return os.fdopen(_open(path, follow=follow)[0], "rb")


def _open(path: Path, *, follow: bool) -> tuple[int, int]:
    """Return the descriptor of an ordinary file, which is open then, and its size. Raises as `opened`."""
    # A device is not even opened, because for some of them that alone has an effect.
    _require_file(path, path.stat() if follow else path.lstat())
    handle = _handle(path, _FLAGS | (0 if follow else _NOFOLLOW))
    try:
        found = os.fstat(handle)
        _require_file(path, found)
    except OSError:
        os.close(handle)
        raise
    return handle, found.st_size


def _handle(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError as error:
        check_open_files(error)
        raise


def read_bytes(path: Path, limit: int = MOST_BYTES, *, follow: bool = False) -> bytes:
    """Return the content of an ordinary file. Raises OSError as `opened`, and if it has more than `limit` bytes."""
    handle, size = _open(path, follow=follow)
    try:
        if size > limit:
            raise _too_large(path, limit)
        content = _read(handle, size + 1)
        if len(content) > size:  # it grows meanwhile; and files of the system say that their size is 0
            content += _read(handle, limit + 1 - len(content))
    except BlockingIOError as error:  # a file of the system
        raise OSError(errno.EAGAIN, "reading it would never end", str(path)) from error
    finally:
        os.close(handle)
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def _read(handle: int, most: int) -> bytes:
    """Read up to `most` bytes, in half of the calls of a file object: a run has thousands of files."""
    content = part = os.read(handle, most)
    while part and len(content) < most:
        part = os.read(handle, most - len(content))
        content += part
    return content


def read_text(path: Path, limit: int = MOST_BYTES, *, follow: bool = False, encoding: str = "utf-8") -> str:
    """Return a text file with line ends as `\\n`.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: it is not encoded so.
    """
    text = read_bytes(path, limit, follow=follow).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_link(path: Path) -> bool:
    """Tell whether a path is a link: a symbolic one, or one of Windows to a folder (a junction). False if missing."""
    try:
        return _is_link(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_own_folder(path: Path) -> bool:
    """Tell whether there is a folder at a path that is no link; False if there is nothing."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISDIR(found.st_mode) and not _is_link(found)


def require_no_links(root: Path, place: Path) -> None:
    """Check that no folder on the way from `root` to `place` is a link; `root` itself may be one.

    Raises:
        OSError: one is a link, or cannot be looked at; or `place` does not lie below `root`.
    """
    parts = place.parts[len(root.parts) :]
    if place.parts[: len(root.parts)] != root.parts or ".." in parts:
        raise OSError(errno.EINVAL, f"it does not lie in {root}", str(place))
    step = root
    for part in parts:
        step = step / part
        if is_link(step):
            raise _link(step)


def _require_file(path: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode) and not _is_link(found):
        return
    if _is_link(found):
        raise _link(path)
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
    code = errno.EISDIR if kind == "a folder" else errno.EINVAL
    raise OSError(code, f"it is {kind}, not an ordinary file", str(path))


def _is_link(found: os.stat_result) -> bool:
    tag = getattr(found, "st_reparse_tag", None)  # only Windows has it
    return stat.S_ISLNK(found.st_mode) or (tag is not None and tag == _JUNCTION)


def _link(path: Path) -> OSError:
    return OSError(errno.ELOOP, "it is a link, and nothing is read or written through links here", str(path))


def _too_large(path: Path, limit: int) -> TooLarge:
    size = f"{limit // MEBIBYTE} MiB" if limit >= MEBIBYTE else f"{limit} bytes"
    return TooLarge(errno.EFBIG, f"it is larger than {size}", str(path))
