"""`evaluate` loads the inputs of a task and computes its results."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError
from xai_eval.result.precisions import DEFAULT
from xai_eval.result.result import Result
from xai_eval.run.plan import Plan, plan
from xai_eval.settings.engine import LOCAL, Engine
from xai_eval.tasks import find_task

if TYPE_CHECKING:
    from xai_eval.cluster.cluster import Cluster
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet


def evaluate(
    task: str,
    *,
    model: str | Classifier | None = None,
    images: str | os.PathLike[str] | ImageSet | ProbeSet | None = None,
    device: str = "auto",
    precision: str = DEFAULT,
    engine: str = LOCAL,
    workers: int | None = None,
    gpus_per_worker: float | None = None,
    **params: Any,
) -> list[Result]:
    """Evaluate a task and return its results.

    Args:
        task: name of a registered task, such as `cams`.
        model: model spec or Classifier; the task's bundled default if None. Afterwards every module of a Classifier is
            in training or evaluation mode as before.
        images: image spec, path or ImageSet (probe spec, path or ProbeSet for `dissection`); the task's bundled default
            if None.
        device: `auto`, `cpu`, `cuda`, ...
        precision: in which the model computes: `default` (what torch does by itself), `highest` (float32 throughout),
            `tf32`, or `bfloat16` or `float16` (under torch.autocast).
        engine: where to compute: `local`, or `ray` for the workers of the Ray cluster that RAY_ADDRESS names. They load
            the model by its spec.
        workers: number of workers; as many as fit if None.
        gpus_per_worker: GPUs of each worker, such as 0.5; one if None, and none if the device is a CPU.
        **params: parameters of the task, as docs/tasks.md and `xai-eval list` name them.

    Returns:
        One Result per image, and one more for the whole set if the task sums up its images. `dissection` returns one
        Result per model, and one that compares the two models.

    Raises:
        UsageError: a name is unknown, a parameter is out of range, or the device lacks the precision.
        InputUnavailable: a model or image is missing or unreadable.
        ModelMisbehaves: the model raises an error, or its output cannot be explained.
        MetricMisbehaves: a metric of the task does not give its known answer.

    Example:
        >>> (result,) = evaluate("cams", images="scenes:1", methods=["gradcam"], device="cpu")
        >>> result["predicted"].text, result["gradcam"].array.shape
        ('balloon', (96, 96))
    """
    from xai_eval.run.workers import cluster_of

    cluster = cluster_of(Engine(engine, workers, gpus_per_worker), device)
    with _modes_kept(model):
        planned = plan(
            task, model=model, images=images, device=device, precision=precision, params=params, cluster=cluster
        )
        return list((planned if cluster is None else _spread(planned, cluster, model)).results)


def _spread(planned: Plan, cluster: Cluster, model: str | Classifier | None) -> Plan:
    from xai_eval.run.spread import spread

    if not isinstance(model, str | None):
        raise UsageError(
            "the engine ray needs the spec of the model, such as file:PATH.py:FACTORY, because each worker loads it; "
            f"got a {type(model).__name__}."
        )
    return spread(planned, cluster, model or find_task(planned.task).model)


def _modes_kept(model: object) -> AbstractContextManager[None]:
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.models.layers import evaluating

    return evaluating(model.module) if isinstance(model, Classifier) else nullcontext()
