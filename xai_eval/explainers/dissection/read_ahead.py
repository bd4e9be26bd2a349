"""Read the next batches of a probe set while the models work: by threads, or by copies of this process."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
class Readers:
    """Who reads.

    Attributes:
        count: number of threads or processes.
        room: bytes of prepared images that each process hands over at once; 0 for threads.
    """

    count: int
    room: int = 0


def batches_of(plan: DissectionPlan, positions: range) -> list[range]:
    """Divide positions, of which the first is the beginning of a batch, into batches."""
    starts = range(0, len(positions), plan.batch_size)
    return [positions[start : start + plan.batch_size] for start in starts]


def read_ahead(plan: DissectionPlan, batches: Sequence[range]) -> Generator[Batch, None, None]:
    """Yield the batches in order. When the iterator has ended or was closed, nobody reads any more.

    Raises:
        ModelMisbehaves: the preprocessing of a model raises, or gives tensors of different shapes.
    """
    readers = readers_of(plan, len(batches))
    if not readers.room:
        coming = _by_threads(plan, batches, readers.count)
    else:
        coming = read_by_processes(plan, batches, readers.count, readers.room, torch.Tensor.pin_memory)
    with closing(coming):
        yield from coming


def readers_of(plan: DissectionPlan, batches: int) -> Readers:
    """Decide who reads a number of batches: the cores that the models leave.

    Beside models on a CPU these are few, and threads do it. Beside a GPU it is all cores but one, and there threads
    would wait for Python's lock. So processes do it, if all this is true: it is Linux, there are two batches or more
    for each of two, and reader and preprocessings are code of this package or of known libraries, which may be copied
    together with this process. Else it is threads, at most 8.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_cpu = any(model.classifier.device.type == "cpu" for model in plan.models)
    left = max(1, cores - (torch.get_num_threads() if on_cpu else 1))
    if not on_cpu and sys.platform == "linux" and not multiprocessing.current_process().daemon and _can_be_copied(plan):
        room = _bytes_of_a_batch(plan)
        count = min(_MOST_PROCESSES, left, batches // _BATCHES_EACH, _MOST_SHARED // room)
        if count > 1:
            return Readers(count, room)
    return Readers(min(_MOST_THREADS, left))


def _can_be_copied(plan: DissectionPlan) -> bool:
    clip = () if plan.clip is None else (plan.clip.preprocess,)
    return all(map(of_known_libraries, (plan.probe.reader, *plan.preparations, *clip)))


def _bytes_of_a_batch(plan: DissectionPlan) -> int:
    """Return how many bytes the prepared images of a batch take, measured on one image."""
    image = Image.new("RGB", (256, 256))
    prepare = [*plan.preparations, *(() if plan.clip is None else (plan.clip.preprocess,))]
    return plan.batch_size * sum(int(each(image).nbytes) for each in prepare)


def _by_threads(plan: DissectionPlan, batches: Sequence[range], count: int) -> Generator[Batch, None, None]:
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


def _read(plan: DissectionPlan, positions: range) -> Batch:
    """Read a batch into memory from which a GPU copies it beside its other work; on a CPU, into any."""
    batch = read_batch(plan, positions)
    on_gpu = any(model.classifier.device.type == "cuda" for model in plan.models)
    return batch.kept(torch.Tensor.pin_memory) if on_gpu else batch
