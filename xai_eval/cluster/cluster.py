"""Computes the items of an order on the workers of a Ray cluster. Lost workers are replaced, their items repeated."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.cluster.crew import Crew, Member
from xai_eval.cluster.jobs import Job, Jobs
from xai_eval.cluster.shares import Node, Share, share_of, workers_for
from xai_eval.cluster.worker import Failed, Home, Order, Told
from xai_eval.errors import InputUnavailable, UsageError, error_line

# Items per worker: one in work, and the next, so that no worker waits for this process.
_AT_ONCE = 2
# Results per worker that may wait for an earlier one.
_AHEAD = 8
# Seconds without any sign of a worker after which the run ends.
_PATIENCE = 300.0
_orders = itertools.count()


@dataclass(frozen=True)
class Finished:
    """The value of an item, or `Failed`, with the number of the item, from 0."""

    number: int
    value: Any


class Cluster:
    """The workers of a run on a Ray cluster, started when they are needed.

    Attributes:
        ray: the module.
        workers: how many there are, if all of them can be started.
        share: what each of them gets.
    """

    def __init__(self, ray: Any, workers: int, share: Share, told: Told) -> None:
        self.ray, self.workers, self.share = ray, workers, share
        self._crew = Crew(ray, Home(str(Path.cwd()), told), share, _environment(share.threads))

    @property
    def words(self) -> str:
        """The workers as text for people."""
        return f"{self.workers} worker{'s' if self.workers != 1 else ''} ({self.share.words})"

    def check(self) -> None:
        """Start the workers, and wait for the first.

        Raises:
            InputUnavailable: it is not like this process, or none can be started.
        """
        self._crew.fill(self.workers)
        while not self._crew.ready:
            self._wait([])
            self._crew.fill(self.workers)

    def computed(self, order: Order, items: Iterable[Any]) -> Iterator[Finished]:
        """Compute items, and yield their values as they are finished, in any order.

        Args:
            order: what the workers prepare once.
            items: taken from their iterator when a worker is free.

        Raises:
            InputUnavailable: no worker is left and none can be started, or an item was lost with several workers.
        """
        name, shared = str(next(_orders)), [self.ray.put(order)]
        jobs, running = Jobs(items, _AHEAD * self.workers), dict[Any, tuple[Member, Job]]()
        while self._give(jobs, running, name, shared):
            ready = self._wait(list(running))
            if ready not in running:
                continue
            member, job = running.pop(ready)
            value = self._got(ready, member, job, jobs)
            if value is not _LOST:
                jobs.finish(job)
                yield Finished(job.number, value)

    def in_order(self, order: Order, items: Iterable[Any]) -> Iterator[Any]:
        """Compute items, and yield their values in the order of the items.

        Raises:
            Exception: what the computation of an item raised, when its turn has come, as in one process; or as
                `computed` does.
        """
        waiting, following = dict[int, Any](), 0
        for each in self.computed(order, items):
            waiting[each.number] = each.value
            while following in waiting:
                yield value_of(waiting.pop(following))
                following += 1

    def _give(self, jobs: Jobs, running: dict[Any, tuple[Member, Job]], name: str, shared: list[Any]) -> bool:
        """Hand out jobs to workers that are free; return whether there is anything to wait for."""
        self._crew.fill(self.workers)
        for member in [each for _ in range(_AT_ONCE) for each in self._crew.ready]:
            if sum(each is member for each, _ in running.values()) < _AT_ONCE and (job := jobs.next()):
                running[member.actor.work.remote(name, shared, job.item)] = member, job
        return bool(running) or (not self._crew.ready and jobs.left)

    def _got(self, ready: Any, member: Member, job: Job, jobs: Jobs) -> Any:
        try:
            return self.ray.get(ready)
        except self.ray.exceptions.RayTaskError:
            raise
        except self.ray.exceptions.RayError as error:  # the worker, its machine, or what it returned is lost
            self._crew.lose(member)
            jobs.again(job, error_line(error))
            return _LOST

    def _wait(self, running: list[Any]) -> Any:
        """Return the reference that is ready first, after the answer of a new worker was checked."""
        found, _ = self.ray.wait([*running, *self._crew.coming], num_returns=1, timeout=_PATIENCE)
        if not found and not self._crew.ready:
            raise InputUnavailable(
                f"no worker of the Ray cluster could be started within {_PATIENCE:.0f} s. Look at `ray status`: other "
                "work may hold its cores. What was finished is saved: the same command with --resume goes on."
            )
        if found and found[0] in self._crew.coming:
            self._crew.answered(found[0])
        return found[0] if found else None


_LOST = object()


def value_of(value: Any) -> Any:
    """Return the value of an item. Raises the error that its computation raised."""
    if isinstance(value, Failed):
        raise value.error
    return value


def connect(device: str, told: Told, workers: int | None = None, gpus: float | None = None) -> Cluster:
    """Connect to the cluster that RAY_ADDRESS names, else to the cores of this machine.

    Args:
        device: kind of device to compute on, such as `cpu` or `cuda`.
        told: returns what results depend on besides the order, see `Home`.
        workers: number of workers; as many as fit if None.
        gpus: GPUs per worker; see `share_of`.

    Raises:
        UsageError: Ray is not installed, or no machine has room for a worker.
        InputUnavailable: no cluster can be reached.
    """
    import torch

    share = share_of(device, torch.get_num_threads(), gpus)
    ray = connected()
    nodes = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    offered = [Node(each.get("CPU", 0), each.get("GPU", 0)) for each in nodes]
    return Cluster(ray, workers_for(share, offered, workers), share, told)


def connected() -> Any:
    """Return the module `ray`, connected. Raises as `connect`."""
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "the engine ray needs Ray, which is not installed. Run: pip install 'xai-eval[distributed]'."
        ) from error
    if ray.is_initialized():
        return ray
    try:
        ray.init(log_to_driver=False)
    except Exception as error:  # Ray and the network raise many kinds of errors
        raise InputUnavailable(
            f"no Ray cluster can be reached ({error_line(error)}). Start one with "
            "`ray start --head`, or unset RAY_ADDRESS."
        ) from error
    return ray


def _environment(threads: int) -> Mapping[str, str]:
    """Return variables that libraries read when a worker imports them: sums depend on the number of threads."""
    from threadpoolctl import threadpool_info

    blas = max((each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"), default=threads)
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(blas),
        "OMP_WAIT_POLICY": "PASSIVE",
    }


_CLUSTER: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


@contextmanager
def used(cluster: Cluster | None) -> Iterator[None]:
    """Let tasks that divide their work themselves use a cluster while the context is open; none if None."""
    token = _CLUSTER.set(cluster)
    try:
        yield
    finally:
        _CLUSTER.reset(token)


def cluster_in_use() -> Cluster | None:
    """Return the cluster that is used now; None to compute in this process."""
    return _CLUSTER.get()
