"""Shares work on many cases among copies of this process, if that is safe and pays. Answers and their order stay.

A copy (`fork`) has all that is loaded here, so that it does what this process would do, and no code of a user runs a
second time. A process with threads, or with torch, which has threads of its own, cannot be copied safely: there, as on
systems without `fork`, this process does all the work alone.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, TypeVar

from xai_eval.disk.door import read_bytes
from xai_eval.errors import XaiEvalError
from xai_eval.media.progress import SILENT, progress

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")
# So many cases are one piece of work, at most: what becomes of them has to fit into the memory twice.
SHARD = 256
# With fewer cases, starting processes takes as long as they save.
LEAST = 256
# Pieces of work that a process has before it: while it waits for a new one, it does nothing.
_AHEAD = 2
_MOST = 16
_ENDING = 5  # seconds
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # two numbers, or "max" and one: microseconds of all cores per period


def over(work: Callable[[_Item], _Done], items: Sequence[_Item]) -> Generator[_Done, None, None]:
    """Yield what `work`, which reads, returns for each item, in order, as `map` does. Raises as `in_shards`."""
    with contextlib.closing(in_shards(functools.partial(_each, work), items, "reading")) as shards:
        for shard in shards:
            yield from shard


def in_shards(
    work: Callable[[Sequence[_Item]], _Done], items: Sequence[_Item], what: str
) -> Generator[_Done, None, None]:
    """Yield what `work` returns for each shard of the items, in order.

    Args:
        work: what to do. It has no effect but what it returns, which has to be picklable to come from another process.
        items: all of them; `work` is given up to `SHARD` at once.
        what: name of the progress bar, which shows that this goes on.

    Raises:
        XaiEvalError: another process was killed.
        Exception: whatever `work` raises, when its shard is next.
    """
    count = process_count() if len(items) >= LEAST else 1
    size = max(1, min(SHARD, -(-len(items) // (2 * _AHEAD * count))))
    shards = [items[start : start + size] for start in range(0, len(items), size)]
    with (
        progress(len(items), what, "case", after=SILENT) as advance,
        contextlib.closing(_done(work, shards, count)) as every,
    ):
        for shard, done in zip(shards, every, strict=True):
            advance(len(shard))
            yield done


def _done(
    work: Callable[[Sequence[_Item]], _Done], shards: Sequence[Sequence[_Item]], count: int
) -> Generator[_Done, None, None]:
    yield from _by_copies(work, shards, count) if count > 1 else map(work, shards)


def process_count() -> int:
    """Return how many processes may work at once: one per core that this process may use, or only this one."""
    threads = threading.active_count() > 1 or "torch" in sys.modules
    if sys.platform != "linux" or threads or multiprocessing.current_process().daemon:
        return 1
    return max(1, min(_MOST, len(os.sched_getaffinity(0)), _cores_of_container()))


def _cores_of_container() -> int:
    """Return to how many cores a container is limited; many if it is not."""
    with contextlib.suppress(OSError, ValueError):
        most, period = read_bytes(_QUOTA, 4096).split()
        return _MOST if most == b"max" else -(-int(most) // int(period))
    return _MOST


def _each(work: Callable[[_Item], _Done], items: Iterable[_Item]) -> list[_Done]:
    return [work(each) for each in items]


@dataclass
class _Worker:
    """A copy of this process, the end of the pipe to it, and the places of the shards that it was given."""

    process: BaseProcess
    pipe: Connection
    given: deque[int] = field(default_factory=deque)

    def give(self, place: int) -> None:
        self.given.append(place)
        with contextlib.suppress(OSError):  # a process that ended is told of when its answer is missing
            self.pipe.send(place)

    def answer(self) -> tuple[int, Any]:
        """Return the place of the next finished shard, and what `work` returned in a tuple; None if it failed."""
        try:
            return self.given.popleft(), self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            raise _killed(self.process.exitcode) from error

    def end(self) -> None:
        self.pipe.close()
        self.process.join(0 if self.given else _ENDING)  # one that has nothing to do any more ends by itself
        self.process.kill()
        self.process.join()


def _by_copies(
    work: Callable[[Sequence[_Item]], _Done], shards: Sequence[Sequence[_Item]], count: int
) -> Iterator[_Done]:
    with contextlib.ExitStack() as ending:
        workers: list[_Worker] = []
        # A container may allow fewer processes than it has cores, or no further one.
        with _uninterrupted(), contextlib.suppress(OSError):
            for _ in range(min(count, len(shards))):
                workers.append(_started(work, shards, [each.pipe for each in workers]))
                ending.callback(workers[-1].end)
        answers = _in_order(workers, len(shards)) if workers else itertools.repeat(None, len(shards))
        for place, done in enumerate(answers):
            # What failed there is done here, so that errors are those of one process.
            yield work(shards[place]) if done is None else done[0]


def _in_order(workers: Sequence[_Worker], count: int) -> Iterator[Any]:
    """Give shards to the workers, and yield their answers in order. None is far ahead of the one that is next."""
    found: dict[int, Any] = {}
    following, by_pipe = 0, _by_pipe(workers)
    for place in range(count):
        last = min(count, place + 2 * _AHEAD * len(workers))
        while place not in found:
            for worker in itertools.chain.from_iterable(itertools.repeat(workers, _AHEAD)):
                if len(worker.given) < _AHEAD and following < last:
                    worker.give(following)
                    following += 1
            for pipe in wait([each.pipe for each in workers if each.given]):
                answered, done = by_pipe[pipe].answer()
                found[answered] = done
        yield found.pop(place)


def _by_pipe(workers: Sequence[_Worker]) -> Mapping[object, _Worker]:
    return {each.pipe: each for each in workers}


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait. Processes that are started meanwhile never see it: this one ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _started(work: Callable[..., Any], shards: Sequence[Any], others: Sequence[Connection]) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(theirs, [*others, ours], work, shards), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Connection, others: Sequence[Connection], work: Callable[..., Any], shards: Sequence[Any]) -> None:
    """Do what the pipe asks for, until its other end is closed, be it that the process there was killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for each in others:
        each.close()  # an end that is open here as well would hide that it was closed there
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(_answer(work, shards[pipe.recv()]))


def _answer(work: Callable[[Any], Any], shard: Any) -> memoryview:
    """Return what `work` returns as it is sent; of None if it raises, or returns what cannot be sent."""
    try:
        return ForkingPickler.dumps((work(shard),))
    except BaseException:  # code of a user may raise anything
        return ForkingPickler.dumps(None)


def _killed(code: int | None) -> XaiEvalError:
    how = f"was ended by the signal {signal.Signals(-code).name}" if code and code < 0 else f"ended with code {code}"
    return XaiEvalError(
        f"a process that judged a part of the cases {how}, as the system does when memory runs out. Run again; if it "
        "happens again, give it more memory, or fewer cores (on Linux, `taskset --cpu-list 0` before the command)."
    )
