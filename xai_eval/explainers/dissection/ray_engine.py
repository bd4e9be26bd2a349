"""Shards on a Ray cluster: each is a task of its own, and what they gave is merged in a tree.

Needs the extra `distributed`. A node that dies takes nothing along: Ray runs its tasks again elsewhere, and shards that
had come in are on disk here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, error_line
from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.quantile import TopValues
from xai_eval.explainers.dissection.shard import Shard
from xai_eval.explainers.dissection.study import Study
from xai_eval.explainers.dissection.sweep import Advance, bounds_of, check_readable, merged_tops, observe_shard


def on_ray(study: Study, checkpoints: Checkpoints, advance: Advance) -> Shard:
    """Compute shards on the cluster that RAY_ADDRESS names, or on this machine's cores: an `Engine`.

    Raises:
        UsageError: Ray is not installed.
        InputUnavailable: no cluster can be reached, or it loses what was computed more often than can be repeated.
    """
    ray = _connected()
    collected = _Collected(ray, study)
    waiting = []
    for index in range(len(study.shards)):
        known = checkpoints.load(index)
        if known is None:
            waiting.append(index)
        else:
            collected.add(index, known)
            advance(len(study.shards[index]))
    _compute(ray, study, checkpoints, waiting, collected, advance)
    whole: Shard = _got(ray, _tree(ray, [collected.parts[index] for index in range(len(study.shards))]))
    return whole


class _Collected:
    """The shards that are there: on the cluster without their maps, which would fill its memory.

    Attributes:
        parts: references to them, by index.
        tops: largest values of all of them: they bound the thresholds of those that are still to come.
    """

    def __init__(self, ray: Any, study: Study) -> None:
        self._ray, self._study = ray, study
        self._skipped: list[Skipped] = []
        self.parts: dict[int, Any] = {}
        self.tops: tuple[TopValues | None, ...] = ()

    def add(self, index: int, shard: Shard) -> None:
        """Take a shard in; InputUnavailable if too many images cannot be read by now."""
        self._skipped.extend(shard.skipped)
        check_readable(self._study, self._skipped)
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
    except Exception as error:  # whatever a network gives
        raise InputUnavailable(
            f"no Ray cluster can be reached ({error_line(error)}). Start one with "
            "`ray start --head`, or unset RAY_ADDRESS."
        ) from error
    return ray


def _compute(
    ray: Any, study: Study, checkpoints: Checkpoints, waiting: Sequence[int], collected: _Collected, advance: Advance
) -> None:
    """Compute the shards that are not there yet, only as many at once as keep the cluster busy.

    Those that start later know more about the thresholds, and have fewer maps to send.
    """
    shared = ray.put(study)
    observe = ray.remote(observe_shard).options(max_retries=-1)
    queue, running = deque(waiting), dict[Any, int]()
    while queue or running:
        while queue and len(running) < _room(ray):
            index = queue.popleft()
            running[observe.remote(shared, study.shards[index], bounds_of(collected.tops))] = index
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        index = running.pop(ready)
        shard: Shard = _got(ray, ready)
        checkpoints.save(index, shard)
        collected.add(index, shard)
        advance(len(study.shards[index]))


def _room(ray: Any) -> int:
    """Two shards a core: one that it works on, and the next."""
    return max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))


def _got(ray: Any, reference: Any) -> Any:
    """Fetch a result; what a worker raised is raised here, as it would be without a cluster."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, XaiEvalError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise InputUnavailable(
            f"the Ray cluster failed ({error_line(error)}). Shards that had come in are kept: run again."
        ) from error


def _tree(ray: Any, level: Sequence[Any]) -> Any:
    """Join neighbours until one is left, so that no machine ever holds more than it has to."""
    join = ray.remote(_joined).options(max_retries=-1)
    while len(level) > 1:
        level = [join.remote(*level[start : start + 2]) for start in range(0, len(level), 2)]
    return level[0]


def _joined(*parts: Shard) -> Shard:
    return Shard.joined(parts)
