"""What the system refused, in words, and what to do about it: the same for every file, whoever reads or writes it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import TooManyOpenFiles


@dataclass(frozen=True)
class Refusal:
    """Why the system refused, and what to do; parts of a sentence, without a capital and a full stop."""

    reason: str
    advice: str

    @property
    def sentence(self) -> str:
        """The advice as a sentence of its own."""
        return f"{self.advice[:1].upper()}{self.advice[1:]}."


_NO_ACCESS = Refusal("permission is denied", "choose another folder or change its permissions")
_WRONG_KIND = Refusal("there is a file where a folder is needed", "choose another folder")
_AWAY = Refusal("the file system does not answer", "check the network or mount it again")
_REFUSALS: Mapping[int, Refusal] = {
    errno.ENOSPC: Refusal("the disk is full", "free some space"),
    errno.EDQUOT: Refusal("the disk quota is used up", "free some space"),
    errno.EROFS: Refusal("the file system is read-only", "choose another folder"),
    errno.EACCES: _NO_ACCESS,
    errno.EPERM: _NO_ACCESS,
    errno.EISDIR: Refusal("there is a folder where a file is needed", "move it away"),
    errno.ENOTDIR: _WRONG_KIND,
    errno.EEXIST: _WRONG_KIND,
    errno.ENAMETOOLONG: Refusal("a name, or the whole path, is longer than the system allows", "use shorter names"),
    errno.ELOOP: Refusal("links lead in a circle", "remove the link"),
    errno.EIO: Refusal("the disk has an error", "check the disk, and restore what it lost from a copy"),
    errno.ESTALE: _AWAY,
    errno.ENOTCONN: _AWAY,
    errno.ETIMEDOUT: _AWAY,
    errno.EBUSY: Refusal("another program uses it", "end that program"),
    errno.EFBIG: Refusal("the file would be larger than is allowed", "raise the limit (`ulimit -f`)"),
    errno.ENOMEM: Refusal("the memory is used up", "end other programs, or use fewer workers (`--workers`)"),
}
_TOO_MANY = {
    errno.EMFILE: (
        "this process has as many files open as it may have",
        "Raise the limit (`ulimit -n 4096` in the same shell), or use fewer workers (`--workers`)",
    ),
    errno.ENFILE: (
        "all programs of this machine together have as many files open as they may have",
        "End other programs, use fewer workers (`--workers`), or have the limit of the machine raised (fs.file-max)",
    ),
}
# With these the door says by its own words what is wrong with a file.
_OF_THE_DOOR = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.EFBIG, errno.EAGAIN)
_LONGEST_PATH, _SHOWN = 1_000, 200
_NO_THREAD = "can't start new thread"  # as Python says it, without a number
_SPELLED = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT)
# What no change of the file in question helps against.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENOMEM)


def refusal(error: OSError, advice: str) -> Refusal:
    """Return why the system refused, and what to do.

    Args:
        error: what it raised.
        advice: what to do if the system does not say more than that this file is the matter, such as
            `choose another folder`.

    Raises:
        TooManyOpenFiles: as `check_open_files`.
    """
    check_open_files(error)
    said = error.strerror or str(error)
    code = error.errno or 0
    if code in _OF_THE_DOOR and said != os.strerror(code):
        return Refusal(said, "put a smaller file there" if code == errno.EFBIG else advice)
    return _REFUSALS.get(code, Refusal(said, advice))


def place_of(error: OSError, path: object) -> str:
    """Return the file that an error is about, or else `path`; only the ends of a path that is so long that it is one.

    The middle is left out, because a message is cut at its end, where it says what is wrong.
    """
    text = str(error.filename or path)
    return text if len(text) <= _LONGEST_PATH else f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"


def is_of_the_machine(error: OSError) -> bool:
    """Tell whether the same file may be readable another time."""
    return error.errno in _OF_THE_MACHINE


def check_open_files(error: OSError) -> None:
    """Raise TooManyOpenFiles if no file at all can be opened, which says nothing about the one in question."""
    if error.errno in _TOO_MANY:
        reason, advice = _TOO_MANY[error.errno]
        at = f" ({error.filename} could not be opened)" if error.filename else ""
        raise TooManyOpenFiles(f"the limit of open files was reached: {reason}{at}. {advice}, and run again.")


def folder_sentence() -> str | None:
    """Return what to do if there is no working directory any more, from which all other paths are read; else None."""
    try:
        Path.cwd()
    except OSError as error:
        found = refusal(error, "change into another one and run again")
        return f"the working directory cannot be entered ({found.reason}): was it removed? {found.sentence}"
    return None


def machine_sentence(error: BaseException) -> str | None:
    """Return what to do if an error, or what it came from, is one of the machine and not of the code; else None."""
    step: BaseException | None = error
    while step is not None:
        if isinstance(step, MemoryError):
            used_up = _REFUSALS[errno.ENOMEM]
            return f"{used_up.reason}. {used_up.sentence}"
        if _NO_THREAD in str(step):
            return "no further thread may be started. End other programs, or raise the limit (`ulimit -u`)."
        if isinstance(step, OSError):
            try:
                told = refusal(step, "")
            except TooManyOpenFiles as many:
                return str(many)
            if is_of_the_machine(step):
                return f"{place_of(step, 'a file')} cannot be read or written: {told.reason}. {told.sentence}"
        elif code := next((code for code in _SPELLED if os.strerror(code) in str(step)), None):
            return machine_sentence(OSError(code, os.strerror(code)))  # a library that does not raise OSError
        step = step.__cause__ or step.__context__
    return None
