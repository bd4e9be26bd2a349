"""Finds the workers that a request asks for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from xai_eval.settings.engine import LOCAL, Engine

if TYPE_CHECKING:
    from xai_eval.cluster.cluster import Cluster


def cluster_of(engine: Engine, device: str) -> Cluster | None:
    """Return the workers on which an engine computes; None if this process computes.

    Args:
        engine: what was asked for.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        UsageError: Ray is not installed, or no machine of the cluster has room for a worker.
        InputUnavailable: no cluster can be reached.
    """
    if engine.name == LOCAL:
        return None
    import torch

    from xai_eval.cluster.cluster import connect
    from xai_eval.run.plan import choose_device
    from xai_eval.run.spread import told_of_process

    kind = torch.device(choose_device(device)).type
    return connect(kind, partial(told_of_process, kind), engine.workers, engine.gpus_per_worker)
