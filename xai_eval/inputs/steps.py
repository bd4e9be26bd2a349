"""Work on one item after the other, in steps of which only one uses the model, so that steps of several may overlap.

The model is asked in the calling thread alone, and in the order of the items, as if nothing overlapped. An item may
have parts, such as the superpixels of several methods. Their steps overlap in the same way, when it is its turn.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Asked = TypeVar("Asked")
Done = TypeVar("Done")
# So many items are prepared at a time, at most. More would only take memory, because the model is slower than this.
_MOST_AHEAD = 2


def items_ahead(device: torch.device) -> int:
    """Return how many items to prepare ahead, 0 to 2: one per core that a model on this device leaves.

    A model on a CPU leaves the cores that are more than its threads. On a GPU it leaves all but one.
    """
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used = torch.get_num_threads() if device.type == "cpu" else 1
    return max(0, min(_MOST_AHEAD, cores - used))


@dataclass(frozen=True, eq=False)
class Turn(Generic[Prepared]):
    """The turn of an item to use the model.

    Attributes:
        prepared: returns what was prepared, and waits for it; what `prepare` raised is raised here.
        ahead: so many parts of the item may be prepared ahead; 0 to do one step after the other.
    """

    prepared: Callable[[], Prepared]
    ahead: int = 0

    def parts(self, steps: Steps[Item, Any, Any, Done], parts: Iterable[Item]) -> list[Done]:
        """Work on the parts of the item, in order. Their steps overlap as those of items do."""
        return list(in_order(steps, tuple(parts), ahead=self.ahead))


@dataclass(frozen=True, eq=False)
class Steps(Generic[Item, Prepared, Asked, Done]):
    """The steps of the work on one item.

    Attributes:
        prepare: does what can be done before the model is asked. It must not use the model.
        ask: uses the model, when it is the turn of the item.
        finish: does what remains to be done with the answers. It must not use the model.
    """

    prepare: Callable[[Item], Prepared]
    ask: Callable[[Item, Turn[Prepared]], Asked]
    finish: Callable[[Item, Asked], Done]

    def alone(self, item: Item, ahead: int = 0) -> Done:
        """Do all steps of one item, one after the other; `ahead` is for its parts."""
        return self.finish(item, self.ask(item, Turn(partial(self.prepare, item), ahead)))


def in_order(
    steps: Steps[Item, Prepared, Asked, Done], items: Sequence[Item], *, ahead: int, alone: int = 0
) -> Iterator[Done]:
    """Yield what the work on each item gives, in order.

    An error is raised when everything before it was yielded. When the iterator has ended or was closed, nothing runs
    any more: what a thread has begun was waited for, and the rest was dropped.

    Args:
        steps: the work.
        items: what to work on.
        ahead: so many items are prepared in threads, and the one before is finished in another, while the model works;
            0 to do one step after the other. The same holds for the parts of an item.
        alone: so many items are finished and yielded before the model is asked about the next one.
    """
    if not ahead or len(items) < 2:
        return (steps.alone(item, ahead) for item in items)
    return _overlapping(steps, items, ahead, alone)


def _overlapping(
    steps: Steps[Item, Prepared, Asked, Done], items: Sequence[Item], ahead: int, alone: int
) -> Iterator[Done]:
    pool = ThreadPoolExecutor(ahead + 1)
    before: list[Future[Done]] = []  # at most one
    try:
        for index, (item, prepared) in enumerate(_prepared(pool, steps.prepare, items, ahead)):
            try:
                asked = steps.ask(item, Turn(prepared.result, ahead))
            except Exception:
                yield from map(Future.result, before)
                raise
            # It begins before the result of the item before is handed over: whoever takes that may be long about it.
            finishing = _begun(pool, partial(steps.finish, item, asked))
            yield from map(Future.result, before)
            before = [finishing]
            if index < alone:
                yield before.pop().result()
        yield from map(Future.result, before)
    finally:
        pool.shutdown(cancel_futures=True)


def _prepared(
    pool: ThreadPoolExecutor, prepare: Callable[[Item], Prepared], items: Sequence[Item], ahead: int
) -> Iterator[tuple[Item, Future[Prepared]]]:
    """Yield each item with what prepares it, when the next items are being prepared."""
    rest = ((item, _begun(pool, partial(prepare, item))) for item in items)
    coming = deque(islice(rest, ahead))
    while coming:
        current = coming.popleft()
        coming.extend(islice(rest, 1))
        yield current


def held(work: Callable[[], Done]) -> Callable[[], Done]:
    """Do some work now, and return what returns its result, or raises the error that it raised."""
    done: Future[Done] = Future()
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)
    return done.result


def _begun(pool: ThreadPoolExecutor, work: Callable[[], Done]) -> Future[Done]:
    return pool.submit(copy_context().run, work)
