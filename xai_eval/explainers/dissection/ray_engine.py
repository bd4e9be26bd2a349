"""Compute shards on a Ray cluster: each shard is one item of its workers, and the results are merged in a tree.

If a node dies, nothing is lost: other workers compute its shards again, and finished shards are saved on this machine's
disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from xai_eval.cluster.cluster import Cluster, value_of
from xai_eval.errors import InputUnavailable, XaiEvalError, error_line
from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.observations import Observations
from xai_eval.explainers.dissection.observe_shard import Bounds, observe_images
from xai_eval.explainers.dissection.peaks import LayerPeaks, merged_peaks
from xai_eval.explainers.dissection.probe_pass import (
    Advance,
    bounds_of,
    check_readable,
    joined_shards,
    saved_shard,
)
from xai_eval.inputs.models.precision import asked_precision, computing_in

_JOINED = 16  # shards that are joined at once
_AT_ONCE = 2  # such tasks at the same time


@dataclass(frozen=True)
class _Shard:
    """An item: the positions of the images, and lower bounds of the thresholds."""

    positions: range
    bounds: Bounds


@dataclass(frozen=True)
class _Shards:
    """The order: what all shards share."""

    plan: DissectionPlan
    precision: str

    def begin(self) -> Callable[[_Shard], Observations]:
        return partial(_observed, self.plan, self.precision)


def _observed(plan: DissectionPlan, precision: str, shard: _Shard) -> Observations:
    with computing_in(precision, plan.models[0].classifier.device):
        return observe_images(plan, shard.positions, shard.bounds).on_cpu


def on_ray(cluster: Cluster, plan: DissectionPlan, checkpoints: Checkpoints, advance: Advance) -> Observations:
    """Compute the shards on a cluster (an `Engine`).

    Raises:
        InputUnavailable: the cluster fails, and no worker can be started.
        XaiEvalError: whatever a worker raised, as without a cluster.
    """
    collected = _Collected(cluster.ray, plan)
    waiting = []
    for index in range(len(plan.shards)):
        known = saved_shard(plan, checkpoints, index, collected.peaks)
        if known is None:
            waiting.append(index)
        else:
            collected.add(index, known)
            advance(len(plan.shards[index]))
    for each in cluster.computed(_Shards(plan, asked_precision()), _items(plan, waiting, collected)) if waiting else ():
        index, shard = waiting[each.number], value_of(each.value)
        checkpoints.save(index, shard)
        collected.add(index, shard)
        advance(len(plan.shards[index]))
    return _whole(cluster.ray, [collected.parts[index] for index in range(len(plan.shards))])


class _Collected:
    """The finished shards. The cluster holds them without their maps, which would fill its memory.

    Attributes:
        parts: Ray's references to them, by index of the shard.
        peaks: those over all finished shards. They bound the thresholds for the shards still to come.
    """

    def __init__(self, ray: Any, plan: DissectionPlan) -> None:
        self._ray, self._plan = ray, plan
        self._skipped: list[Skipped] = []
        self.parts: dict[int, Any] = {}
        self.peaks: LayerPeaks = ()

    def add(self, index: int, shard: Observations) -> None:
        """Add a finished shard. Raises InputUnavailable if too many images could not be read so far."""
        self._skipped.extend(shard.skipped)
        check_readable(self._plan, self._skipped)
        self.peaks = merged_peaks(self.peaks, shard.peaks)
        self.parts[index] = self._ray.put(shard.without_maps)


def _items(plan: DissectionPlan, waiting: Sequence[int], collected: _Collected) -> Iterator[_Shard]:
    """Yield the shards. Those that start later get closer bounds of the thresholds, so they send fewer maps back."""
    for index in waiting:
        yield _Shard(plan.shards[index], bounds_of(collected.peaks))


def _whole(ray: Any, parts: Sequence[Any]) -> Observations:
    """Join neighbouring shards, some at once, until few are left, which this process joins.

    To join is little work, so no core is set aside for it: the workers may hold all of them. But each task that runs at
    the same time is another process that has to start.
    """
    join = ray.remote(_joined).options(max_retries=-1, num_cpus=0)
    level = list(parts)
    try:
        while len(level) > _JOINED:
            groups = [level[start : start + _JOINED] for start in range(0, len(level), _JOINED)]
            level = []
            for group in groups:
                level.append(join.remote(*group))
                ray.wait(level, num_returns=max(1, len(level) - _AT_ONCE))
        return joined_shards(ray.get(level))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, XaiEvalError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise InputUnavailable(
            f"the Ray cluster failed ({error_line(error)}). Finished shards are saved: run the same command again."
        ) from error


def _joined(*parts: Observations) -> Observations:
    return joined_shards(parts)
