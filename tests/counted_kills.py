"""Work in a process of its own, which is killed before one of its calls that change files; they are counted.

The process is forked, so that it begins at once, and killed with SIGKILL, which nobody can catch.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable
from types import FrameType

# The calls by which Python changes files, or lets go of them. Whoever is killed between two of them leaves what whoever
# is killed at any other moment leaves.
CHANGES_FILES = frozenset(
    ("open", "write", "flush", "fsync", "close", "link", "replace", "rename", "unlink", "mkdir", "rmdir", "flock")
)
_FORK = multiprocessing.get_context("fork")


def moments(first: Callable[[], object], second: Callable[[], object], count: int, seed: str) -> list[int]:
    """Return seeded moments that are spread over some work: before which of its calls it is to be killed.

    It is done twice to find them, at first in this process: what is loaded, compiled and cached then is not again.
    """
    first()
    calls, dice = _calls(second), random.Random(seed)
    return [int((number + dice.random()) / count * calls) for number in range(count)]


def _calls(work: Callable[[], object]) -> int:
    calls = _FORK.Value("q", 0)
    assert _exit_code(work, lambda: setattr(calls, "value", calls.value + 1)) == 0
    return calls.value


def kill(work: Callable[[], object], moment: int) -> None:
    """Do the work until it is killed at that moment."""
    left = iter(range(moment))

    def kill_self() -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    assert _exit_code(work, kill_self) == -signal.SIGKILL


def _exit_code(work: Callable[[], object], before_each: Callable[[], None]) -> int | None:
    """Do the work in a copy of this process, and something before each of the calls; tell how it ended."""

    def done() -> None:
        process = os.getpid()

        def profile(_: FrameType, event: str, called: object) -> None:
            if event == "c_call" and _changes_files(called) and os.getpid() == process:
                before_each()

        sys.setprofile(profile)
        work()
        sys.setprofile(None)

    child = _FORK.Process(target=done)
    child.start()
    child.join()
    return child.exitcode


def _changes_files(called: object) -> bool:
    owner = getattr(called, "__self__", None)  # texts and compressors have methods of these names, too
    of_files = isinstance(owner, io.IOBase) or getattr(owner, "__name__", "") in ("posix", "_io", "fcntl")
    return of_files and getattr(called, "__name__", "") in CHANGES_FILES
