"""A disk that fails at the n-th write, whatever that is: full from then on, refusing once, or its process killed.

Every change of the disk by Python ends in one of a few functions of `os`. They are counted and, from the n-th on, fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

CREATING = ("open", "mkdir", "link", "fsync")
CHANGING = ("replace", "rename", "unlink", "rmdir")


class Killed(BaseException):
    """Stands for SIGKILL: nothing that runs after it can change the disk, so it is as if nothing ran."""


@dataclass
class Failing:
    """Counts the writes.

    Attributes:
        at: the first one that fails.
        error: what is raised.
        lasting: whether the later ones fail, too.
        names: the functions of `os` that fail.
        count: writes so far.
    """

    at: int
    error: Callable[[], BaseException]
    lasting: bool
    names: tuple[str, ...]
    count: int = 0

    @property
    def reached(self) -> bool:
        return self.count >= self.at

    def called(self, name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if name not in self.names or (name == "open" and not args[1] & os.O_CREAT):
            return call(*args, **options)
        self.count += 1
        if self.count == self.at or (self.lasting and self.reached):
            if name == "fsync":  # only a part of what was written has reached the disk
                os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
            raise self.error()
        return call(*args, **options)


@contextlib.contextmanager
def failing(disk: Failing) -> Iterator[Failing]:
    """Let the disk fail while the context is open."""
    with contextlib.ExitStack() as stack:
        for name in (*CREATING, *CHANGING):
            call = getattr(os, name)

            def guarded(*args: Any, _name: str = name, _call: Any = call, **options: Any) -> Any:
                return disk.called(_name, _call, *args, **options)

            stack.enter_context(mock.patch.object(os, name, guarded))
        yield disk


def full(at: int) -> Failing:
    """The disk is full from the n-th write on."""
    return Failing(at, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), True, CREATING)


def refusing(at: int) -> Failing:
    """The system refuses the n-th write or change alone, as Windows does while somebody else has a file open."""
    return Failing(at, lambda: PermissionError(errno.EACCES, os.strerror(errno.EACCES)), False, (*CREATING, *CHANGING))


def killed(at: int) -> Failing:
    """The process is killed before the n-th write or change."""
    return Failing(at, Killed, True, (*CREATING, *CHANGING))


FAILURES = {"killed": killed, "a full disk": full, "a refusal": refusing}
