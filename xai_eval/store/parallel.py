"""Long lists worked off by two processes, where that is safe: judging is all Python, so that threads would not help."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")
# Below it a second process costs more than it saves.
LEAST = 200
# What is sent lies in memory twice until it is read.
_SENT_AT_ONCE = 50


def in_halves(work: Callable[[_Item], _Answer], items: Iterable[_Item]) -> list[_Answer]:
    """Return what `work` gives for every item, in order.

    Of many items a fork of this process does the second half. `work` must change nothing, and its answers must be such
    that they can be pickled. Whatever the fork cannot do, this process does, so that errors are raised here.
    """
    items = list(items)
    with _nothing_collected():
        if len(items) < LEAST or not _can_fork():
            return [work(item) for item in items]
        return _with_helper(work, items)


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """What is read stays, and refers to nothing in circles: looking for garbage in it again and again takes a sixth of
    the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _with_helper(work: Callable[[_Item], _Answer], items: Sequence[_Item]) -> list[_Answer]:
    middle = len(items) // 2
    receiver, helper = _fork(work, items[middle:])
    try:
        own = [work(item) for item in items[:middle]]
        with contextlib.suppress(EOFError, OSError):
            while True:
                own.extend(receiver.recv())
    finally:
        helper.kill()
        helper.join()
        receiver.close()
    return own + [work(item) for item in items[len(own) :]]


def _can_fork() -> bool:
    """A fork has one thread only: it waits for ever for a lock that another one held, such as one of torch's."""
    alone = threading.active_count() == 1 and "torch" not in sys.modules
    return alone and sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def _fork(
    work: Callable[[_Item], _Answer], items: Sequence[_Item]
) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    helper = context.Process(target=_send, args=(receiver, sender, work, items), daemon=True)
    with warnings.catch_warnings():
        # numpy's linear algebra has threads, which it stops before a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        helper.start()
    sender.close()
    return receiver, helper


def _send(receiver: Connection, sender: Connection, work: Callable[[_Item], _Answer], items: Sequence[_Item]) -> None:
    # Or it would wait for ever for a reader that was killed.
    receiver.close()
    with contextlib.suppress(Exception, KeyboardInterrupt):
        answers = [work(item) for item in items]
        for start in range(0, len(answers), _SENT_AT_ONCE):
            sender.send(answers[start : start + _SENT_AT_ONCE])
