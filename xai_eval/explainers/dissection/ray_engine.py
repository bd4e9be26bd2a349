"""Shards on a Ray cluster: each is a task of its own, and what they gave is merged in a tree.

Needs the extra `distributed`. A node that dies takes nothing along: Ray runs its tasks again elsewhere, and shards that
had come in are on disk here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError, one_line
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.pictures import Skipped
from xai_eval.explainers.dissection.shard import Shard
from xai_eval.explainers.dissection.study import Study
from xai_eval.explainers.dissection.sweep import Advance, check_readable, observe_shard


def on_ray(study: Study, checkpoints: Checkpoints, advance: Advance) -> Shard:
    """Compute shards on the cluster that RAY_ADDRESS names, or on this machine's cores: an `Engine`.

    Raises:
        UsageError: Ray is not installed.
        InputUnavailable: no cluster can be reached, or it loses what was computed more often than can be repeated.
    """
    ray = _connected()
    shared = ray.put(study)
    observe = ray.remote(_observe).options(max_retries=-1)
    pending: dict[Any, int] = {}
    leaves: list[Any] = []
    for index, positions in enumerate(study.shards):
        known = checkpoints.load(index)
        leaves.append(observe.remote(shared, positions) if known is None else ray.put(known))
        if known is None:
            pending[leaves[-1]] = index
        else:
            advance(len(positions))
    _save_as_they_come(ray, study, checkpoints, pending, advance)
    strip = ray.remote(_without_maps).options(max_retries=-1)
    whole: Shard = _got(ray, _tree(ray, [strip.remote(leaf) for leaf in leaves]))
    return whole


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
            f"no Ray cluster can be reached ({one_line(error)}). Start one with "
            "`ray start --head`, or unset RAY_ADDRESS."
        ) from error
    return ray


def _save_as_they_come(
    ray: Any, study: Study, checkpoints: Checkpoints, pending: dict[Any, int], advance: Advance
) -> None:
    skipped: list[Skipped] = []
    while pending:
        (ready, *_), _ = ray.wait(list(pending), num_returns=1)
        index = pending.pop(ready)
        shard: Shard = _got(ray, ready)
        checkpoints.save(index, shard)
        skipped.extend(shard.skipped)
        check_readable(study, skipped)
        advance(len(study.shards[index]))


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
            f"the Ray cluster failed ({one_line(error)}). Shards that had come in are kept: run again."
        ) from error


def _tree(ray: Any, level: Sequence[Any]) -> Any:
    """Join neighbours until one is left, so that no machine ever holds more than it has to."""
    join = ray.remote(_joined).options(max_retries=-1)
    while len(level) > 1:
        level = [join.remote(*level[start : start + 2]) for start in range(0, len(level), 2)]
    return level[0]


def _observe(study: Study, positions: range) -> Shard:
    # Shards begin at any time and anywhere, so none knows what the others found.
    return observe_shard(study, positions, ())


def _without_maps(shard: Shard) -> Shard:
    return shard.without_maps


def _joined(*parts: Shard) -> Shard:
    return Shard.joined(parts)
