"""Processes that are killed with SIGKILL, which nobody can catch, at counted calls: no clock decides what is hit.

They are forked, so that they begin to work at once.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from types import FrameType

Work = Callable[[], object]
_FORK = multiprocessing.get_context("fork")

# The calls by which Python changes files, or lets go of them. Whoever is killed between two of them leaves what whoever
# is killed at any other moment leaves.
CHANGES_FILES = {"open", "write", "flush", "fsync", "close", "replace", "rename", "unlink", "mkdir", "rmdir", "flock"}


def moments(work: Work, kills: int) -> list[int]:
    """Seeded moments, spread over the work: before which of its calls that change files it is killed."""
    calls = _FORK.Value("q", 0)
    assert _exit_code(work, calls, last=None) == 0
    dice = random.Random(7)
    return [int((number + dice.random()) / kills * calls.value) for number in range(kills)]


def kill(work: Work, moment: int) -> None:
    """Do the work in a process of its own, which is killed at that moment."""
    assert _exit_code(work, _FORK.Value("q", 0), moment) == -signal.SIGKILL


def _exit_code(work: Work, calls: Synchronized[int], last: int | None) -> int | None:
    def counted() -> None:
        process = os.getpid()

        def count(_: FrameType, event: str, called: object) -> None:
            if event != "c_call" or getattr(called, "__name__", "") not in CHANGES_FILES or os.getpid() != process:
                return
            if calls.value == last:
                os.kill(process, signal.SIGKILL)
            calls.value += 1

        sys.setprofile(count)
        work()

    child = _FORK.Process(target=counted)
    child.start()
    child.join()
    return child.exitcode
