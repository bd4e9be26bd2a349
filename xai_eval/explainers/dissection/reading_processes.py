"""Read batches in copies of this process (`fork`), which hand prepared images over in memory that they share with it.

A copy has the reader and the preprocessings as they are here; nothing of them is sent, and no code runs a second
time. It only reads: it uses neither the models nor a GPU. What fails in a copy is done again in this process, so
errors are its own; and if a copy is killed, what it had to read is read here.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import mmap
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import torch

from xai_eval.explainers.dissection.batches import Batch, read_batch
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan

# Seconds without an answer after which a copy is taken for stuck. A batch of the largest images takes a minute.
_PATIENCE = 600
_ALIGNED = 64
Keep = Callable[[torch.Tensor], torch.Tensor]


def read_by_processes(
    plan: DissectionPlan, batches: Sequence[range], count: int, room: int, keep: Keep
) -> Generator[Batch, None, None]:
    """Yield the batches in order.

    Args:
        plan: probe set, models and layers.
        batches: positions of the images of each batch.
        count: number of processes, at most that of the batches.
        room: bytes of prepared images that each process hands over at once.
        keep: copies a tensor to where it stays, because the shared memory is written to again.

    Raises:
        ModelMisbehaves: the preprocessing of a model raises, or gives tensors of different shapes.
    """
    with contextlib.ExitStack() as ending:
        readers: list[_Reader] = []
        # A container may allow fewer processes than it has cores, or no further one.
        with _uninterrupted(), contextlib.suppress(OSError):
            for _ in range(count):
                readers.append(_started(plan, batches, room, [each.pipe for each in readers]))
                ending.callback(readers[-1].end)
        for place, batch in enumerate(_answers(readers, len(batches), keep)):
            yield read_batch(plan, batches[place]).kept(keep) if batch is None else batch


def _answers(readers: Sequence[_Reader], count: int, keep: Keep) -> Iterator[Batch | None]:
    """Let the readers take turns, and yield what they answer; without any, None for each batch."""
    if not readers:
        yield from itertools.repeat(None, count)
        return
    for place, reader in enumerate(readers[:count]):
        reader.give(place)
    for place in range(count):
        reader = readers[place % len(readers)]
        batch = reader.answer(keep)
        if place + len(readers) < count:
            reader.give(place + len(readers))
        yield batch


@dataclass
class _Reader:
    """A copy of this process.

    Attributes:
        process: the process.
        pipe: the end of the pipe to it.
        memory: where it writes prepared images.
    """

    process: BaseProcess
    pipe: Connection
    memory: mmap.mmap

    def give(self, place: int) -> None:
        """Let it read a batch. That it has ended is told when its answer is missing."""
        with contextlib.suppress(OSError):
            self.pipe.send(place)

    def answer(self, keep: Keep) -> Batch | None:
        """Return the batch that it was given, with tensors that were kept; None if it could not read it."""
        try:
            if self.pipe.poll(_PATIENCE):
                found = self.pipe.recv()
                return None if found is None else _unpacked(found, self.memory, keep)
        except (EOFError, OSError):
            pass
        # It was killed, or is stuck: it has nothing to say any more.
        self.end()
        return None

    def end(self) -> None:
        """End it, whatever it does."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


@dataclass(frozen=True)
class _Packed:
    """A batch whose tensors are in shared memory.

    Attributes:
        batch: the batch without its tensors.
        places: for each tensor its type, its shape and where it begins, in bytes.
        for_clip: whether the last tensor is that of CLIP.
    """

    batch: Batch
    places: tuple[tuple[torch.dtype, tuple[int, ...], int], ...]
    for_clip: bool


def _packed(batch: Batch, memory: mmap.mmap) -> _Packed | None:
    """Write the tensors of a batch to memory; None if they do not fit."""
    tensors = [*batch.inputs, *(() if batch.clip_input is None else (batch.clip_input,))]
    places, start = [], 0
    for each in tensors:
        if start + each.nbytes > len(memory):
            return None
        _at(memory, each.dtype, each.shape, start).copy_(each)
        places.append((each.dtype, tuple(each.shape), start))
        start += -(-each.nbytes // _ALIGNED) * _ALIGNED
    return _Packed(replace(batch, inputs=(), clip_input=None), tuple(places), batch.clip_input is not None)


def _unpacked(packed: _Packed, memory: mmap.mmap, keep: Keep) -> Batch:
    tensors = [_at(memory, *place) for place in packed.places]
    clip_input = tensors.pop() if packed.for_clip else None
    return replace(packed.batch, inputs=tuple(tensors), clip_input=clip_input).kept(keep)


def _at(memory: mmap.mmap, dtype: torch.dtype, shape: Sequence[int], start: int) -> torch.Tensor:
    values = torch.Size(shape).numel()
    if not values:  # no image of the batch could be read
        return torch.empty(shape, dtype=dtype, device="cpu")
    return torch.frombuffer(memory, dtype=dtype, count=values, offset=start).view(shape)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait. Processes that are started meanwhile never see it: this one ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _started(plan: DissectionPlan, batches: Sequence[range], room: int, others: Sequence[Connection]) -> _Reader:
    ours, theirs = multiprocessing.Pipe()
    memory = mmap.mmap(-1, room + _ALIGNED * (len(plan.preparations) + 1))
    ends = (theirs, [*others, ours])
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_serve, args=(plan, batches, memory, *ends), daemon=True)
    with warnings.catch_warnings():
        # Python warns of copies of a process with threads. The copy uses nothing that they may have held.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return _Reader(process, ours, memory)


def _serve(
    plan: DissectionPlan,
    batches: Sequence[range],
    memory: mmap.mmap,
    pipe: Connection,
    others: Sequence[Connection],
) -> None:
    """Read the batches that the pipe asks for, until its other end is closed, as when the process there is killed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What is garbage of the process before stays: to free pinned memory, say, would call CUDA, which no copy can.
    gc.freeze()
    # The threads that torch had are not copied, and it would wait for them.
    torch.set_num_threads(1)
    for each in others:
        each.close()  # an end that is open here as well would hide that it was closed there
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_answer(plan, batches[pipe.recv()], memory))


def _answer(plan: DissectionPlan, positions: range, memory: mmap.mmap) -> _Packed | None:
    try:
        return _packed(read_batch(plan, positions), memory)
    except BaseException:  # it is read again where its error counts
        return None
