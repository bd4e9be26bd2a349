"""Compute shards on a Ray cluster: each shard is one Ray task, and the results are merged in a tree.

This needs the extra `distributed`. If a node dies, nothing is lost: Ray runs its tasks again on another node, and
finished shards are saved on this machine's disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, error_line
from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.observations import Observations
from xai_eval.explainers.dissection.probe_pass import (
    Advance,
    bounds_of,
    check_readable,
    joined_shards,
    merged_tops,
    observe_images,
    saved_shard,
)
from xai_eval.explainers.dissection.quantile import TopValues


def on_ray(plan: DissectionPlan, checkpoints: Checkpoints, advance: Advance) -> Observations:
    """Compute the shards on the cluster that RAY_ADDRESS names, else on the cores of this machine (an `Engine`).

    Raises:
        UsageError: Ray is not installed.
        InputUnavailable: no cluster can be reached, or the cluster fails and Ray cannot recover.
        XaiEvalError: whatever a task raised, as without a cluster.
    """
    ray = _connected()
    collected = _Collected(ray, plan)
    waiting = []
    for index in range(len(plan.shards)):
        known = saved_shard(plan, checkpoints, index, collected.tops)
        if known is None:
            waiting.append(index)
        else:
            collected.add(index, known)
            advance(len(plan.shards[index]))
    _compute(ray, plan, checkpoints, waiting, collected, advance)
    whole: Observations = _got(ray, _tree(ray, [collected.parts[index] for index in range(len(plan.shards))]))
    return whole


class _Collected:
    """The finished shards. The cluster holds them without their maps, which would fill its memory.

    Attributes:
        parts: Ray's references to them, by index of the shard.
        tops: the largest values over all finished shards. They bound the thresholds for the shards still to come.
    """

    def __init__(self, ray: Any, plan: DissectionPlan) -> None:
        self._ray, self._plan = ray, plan
        self._skipped: list[Skipped] = []
        self.parts: dict[int, Any] = {}
        self.tops: tuple[TopValues | None, ...] = ()

    def add(self, index: int, shard: Observations) -> None:
        """Add a finished shard. Raises InputUnavailable if too many images could not be read so far."""
        self._skipped.extend(shard.skipped)
        check_readable(self._plan, self._skipped)
        self.tops = merged_tops(self.tops, shard.tops)
        self.parts[index] = self._ray.put(shard.without_maps)


def _connected() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "the engine ray needs Ray, which is not installed. Run: pip install 'xai-eval[distributed]'."
        ) from error
    try:
        ray.init(ignore_reinit_error=True, log_to_driver=False)
    except Exception as error:  # Ray and the network raise many kinds of errors
        raise InputUnavailable(
            f"no Ray cluster can be reached ({error_line(error)}). Start one with "
            "`ray start --head`, or unset RAY_ADDRESS."
        ) from error
    return ray


def _compute(
    ray: Any,
    plan: DissectionPlan,
    checkpoints: Checkpoints,
    waiting: Sequence[int],
    collected: _Collected,
    advance: Advance,
) -> None:
    """Compute the waiting shards, only as many at once as keep the cluster busy.

    Shards that start later get closer bounds of the thresholds, so they send fewer maps back.
    """
    shared = ray.put(plan)
    observe = ray.remote(observe_images).options(max_retries=-1)
    queue, running = deque(waiting), dict[Any, int]()
    while queue or running:
        while queue and len(running) < _room(ray):
            index = queue.popleft()
            running[observe.remote(shared, plan.shards[index], bounds_of(collected.tops))] = index
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        index = running.pop(ready)
        shard: Observations = _got(ray, ready)
        checkpoints.save(index, shard)
        collected.add(index, shard)
        advance(len(plan.shards[index]))


def _room(ray: Any) -> int:
    """Return how many shards may run or wait on the cluster: two per core, one in work and the next."""
    return max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))


def _got(ray: Any, reference: Any) -> Any:
    """Fetch a result. An error of this package that a worker raised is raised here, as without a cluster."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, XaiEvalError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise InputUnavailable(
            f"the Ray cluster failed ({error_line(error)}). Finished shards are saved: run the same command again."
        ) from error


def _tree(ray: Any, level: Sequence[Any]) -> Any:
    """Join neighbouring shards in pairs until one is left, so that no single machine has to hold all parts."""
    join = ray.remote(_joined).options(max_retries=-1)
    while len(level) > 1:
        level = [join.remote(*level[start : start + 2]) for start in range(0, len(level), 2)]
    return level[0]


def _joined(*parts: Observations) -> Observations:
    return joined_shards(parts)
