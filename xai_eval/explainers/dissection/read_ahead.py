"""Read the next batches of a probe set while the models work: by threads, or by copies of this process."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import torch
from PIL import Image

from xai_eval.explainers.dissection.batches import Batch, read_batch
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.known_code import of_known_libraries
from xai_eval.explainers.dissection.reading_processes import read_by_processes

_MOST_THREADS, _MOST_PROCESSES = 8, 32
# With fewer batches for each, starting a process and filling its memory takes as long as it saves.
_BATCHES_EACH = 2
# Bytes of prepared images that processes hand over in, all of them together.
_MOST_SHARED = 2**30


@dataclass(frozen=True)
class Processes:
    """Copies of this process that read.

    Attributes:
        count: number of them.
        room: bytes of prepared images that each hands over at once.
    """

    count: int
    room: int


def batches_of(plan: DissectionPlan, positions: range) -> list[range]:
    """Divide positions, of which the first is the beginning of a batch, into batches."""
    starts = range(0, len(positions), plan.batch_size)
    return [positions[start : start + plan.batch_size] for start in starts]


def read_ahead(plan: DissectionPlan, batches: Sequence[range]) -> Generator[Batch, None, None]:
    """Yield the batches of a whole pass in order. When the iterator has ended or was closed, nobody reads any more.

    Raises:
        ModelMisbehaves: the preprocessing of a model raises, or gives tensors of different shapes.
    """
    processes = processes_for(plan, len(batches))
    if processes is None:
        return read_by_threads(plan, batches)
    return read_by_processes(plan, batches, processes.count, processes.room, _pinned)


def processes_for(plan: DissectionPlan, batches: int) -> Processes | None:
    """Decide how many processes read a number of batches: one for each core but one, or none, but threads.

    Beside a GPU, threads would wait for Python's lock. So processes read there if this is Linux, if there are two
    batches for each of at least two, and if reader and preprocessings are code of this package and of known libraries,
    which may be copied together with this process. Beside models on a CPU few cores are left, and threads do it.
    """
    copies = sys.platform == "linux" and not multiprocessing.current_process().daemon
    if not copies or not _on(plan, "cuda") or not _can_be_copied(plan):
        return None
    room = _bytes_of_a_batch(plan)
    count = min(_MOST_PROCESSES, _cores_left(plan), batches // _BATCHES_EACH, _MOST_SHARED // room)
    return Processes(count, room) if count > 1 else None


def thread_count(plan: DissectionPlan) -> int:
    """Return how many threads read if no processes do: the cores that the models leave, at least 1 and at most 8."""
    return min(_MOST_THREADS, _cores_left(plan))


def read_by_threads(plan: DissectionPlan, batches: Sequence[range]) -> Generator[Batch, None, None]:
    """Yield the batches in order, as `read_ahead` does, by threads whatever the device: for a shard alone."""
    count = thread_count(plan)
    pool = ThreadPoolExecutor(max_workers=count)
    rest = (pool.submit(_read, plan, each) for each in batches)
    try:
        coming = deque(islice(rest, count))
        while coming:
            batch = coming.popleft().result()
            coming.extend(islice(rest, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _cores_left(plan: DissectionPlan) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - (torch.get_num_threads() if _on(plan, "cpu") else 1))


def _on(plan: DissectionPlan, device: str) -> bool:
    return any(model.classifier.device.type == device for model in plan.models)


def _can_be_copied(plan: DissectionPlan) -> bool:
    clip = () if plan.clip is None else (plan.clip.preprocess,)
    return all(map(of_known_libraries, (plan.probe.reader, *plan.preparations, *clip)))


def _bytes_of_a_batch(plan: DissectionPlan) -> int:
    """Return how many bytes the prepared images of a batch take, measured on one image."""
    image = Image.new("RGB", (256, 256))
    prepare = [*plan.preparations, *(() if plan.clip is None else (plan.clip.preprocess,))]
    return plan.batch_size * sum(int(each(image).nbytes) for each in prepare)


def _read(plan: DissectionPlan, positions: range) -> Batch:
    """Read a batch into memory from which a GPU copies it beside its other work; on a CPU, into any."""
    batch = read_batch(plan, positions)
    return batch.kept(_pinned) if _on(plan, "cuda") else batch


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor into pinned memory; what a preprocessing has put on a GPU stays there."""
    return tensor.pin_memory() if tensor.device.type == "cpu" else tensor
