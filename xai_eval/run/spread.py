"""Explains the images of a plan on the workers of a cluster. Each worker makes the plan again from names, once."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.cluster.crew import require_same
from xai_eval.errors import UsageError
from xai_eval.inputs.models.called_in import factories_called_in, folder_of_factories
from xai_eval.inputs.models.named_programs import only_programs, programs_in
from xai_eval.run.forecast import WARM_UP, ImageCost, with_forecast_of
from xai_eval.store.made_from import Contents
from xai_eval.tasks.cost import Cost, Meter, metered

if TYPE_CHECKING:
    from xai_eval.cluster.cluster import Cluster
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.result import Result
    from xai_eval.run.plan import Plan
    from xai_eval.tasks import Task


@dataclass(frozen=True, eq=False)
class ImageOrder:
    """What a worker needs to explain images as the process does that started it. Names only, and the first image.

    Attributes:
        task: name of the task.
        module: the module that registers the task; empty if a file does, or this package.
        files: files with tasks and kinds of fields of the user.
        model: spec of the model.
        device: kind of device, such as `cpu` or `cuda`; Ray shows each worker only the GPUs that it may use.
        params: parameters of the task.
        precision: the precision that is asked for.
        first: the image set with its first image only, on which the model is examined.
        root: the folder in which factories are called.
        made_from: what results are made from besides the image, in the process that gives the order.
    """

    task: str
    module: str
    files: Sequence[str]
    model: str
    device: str
    params: Mapping[str, Any]
    precision: str
    first: ImageSet
    root: Path
    made_from: Contents

    def begin(self) -> Callable[[LabelledImage], Explained]:
        """Load the model, and return what explains an image.

        Raises:
            InputUnavailable: the model or the code of the task is another one here.
            XaiEvalError: what `plan` raises.
        """
        from xai_eval.run.plan import plan
        from xai_eval.tasks import load_task_file

        with factories_called_in(self.root), only_programs(programs_in([self.model, self.params])):
            for file in self.files:
                load_task_file(file)
            if self.module:
                importlib.import_module(self.module)
            planned = plan(
                self.task,
                model=self.model,
                images=self.first,
                device=self.device,
                precision=self.precision,
                params=self.params,
            )
        assert planned.parts is not None and planned.sources is not None
        require_same(self.made_from, planned.sources.shared)
        return _Explainer(self, planned.parts.explained, planned.sources.classifier)


@dataclass(frozen=True)
class Explained:
    """The result of an image, and its cost if the worker is warm enough to tell it."""

    result: Result
    cost: ImageCost | None


class _Explainer:
    """Explains images in a worker. The cost of the first one is told if it is long, else that of the second."""

    def __init__(self, order: ImageOrder, compute: Callable[[LabelledImage], Result], classifier: Classifier) -> None:
        self._order, self._compute, self._classifier = order, compute, classifier
        self._measured, self._told = 0, False

    def __call__(self, image: LabelledImage) -> Explained:
        with factories_called_in(self._order.root):
            return self._plain(image) if self._told else self._metered(image)

    def _plain(self, image: LabelledImage) -> Explained:
        return Explained(self._compute(image), None)

    def _metered(self, image: LabelledImage) -> Explained:
        meter, started = Meter(time.monotonic), time.monotonic()
        with metered(self._classifier.module, meter):
            result = self._compute(image)
        cost = ImageCost(Cost(time.monotonic() - started, meter.passes), meter.parts)
        self._measured += 1
        self._told = self._measured == 2 or cost.whole.seconds >= WARM_UP
        return Explained(result, cost if self._told else None)


@dataclass(eq=False)
class Spread:
    """The workers that explain the images of a plan.

    Attributes:
        cluster: the workers.
        cost: the cost of one image, as soon as a worker has told it.
    """

    cluster: Cluster
    cost: ImageCost | None = field(default=None)

    def explained(self, order: ImageOrder, images: Sequence[LabelledImage]) -> Iterator[Result]:
        """Explain images on the workers, and yield their results in order."""
        for each in self.cluster.in_order(order, images):
            self.cost = self.cost or each.cost
            yield each.result

    def with_forecast(
        self, results: Iterator[Result], count: int, parameters: Mapping[str, Any], tell: Callable[[str], None]
    ) -> Iterator[Result]:
        """Pass results on; say what all will cost as soon as that is known, if it is long."""
        return with_forecast_of(lambda: self.cost, results, count, parameters, tell, self.cluster.workers)


def spread(plan: Plan, cluster: Cluster, model: str) -> Plan:
    """Return the plan whose images are explained on a cluster. It must not have been altered yet.

    Args:
        plan: the plan.
        cluster: the workers.
        model: spec of its model, by which each worker loads it.

    Raises:
        UsageError: the task does not compute image by image, or no worker could find it.
    """
    if plan.parts is None or plan.sources is None:
        if plan.divided:
            return dataclasses.replace(plan, workers=cluster.words)
        raise UsageError(
            f"task {plan.task} returns its results together, so that workers cannot share its images. Leave out "
            "--engine ray for it, or write it with @image_task."
        )
    task, setup = plan.sources.task, plan.parts.setup
    order = ImageOrder(
        task=task.name,
        module=_module_of(task),
        files=_files(),
        model=model,
        device=setup.classifier.device.type,
        params=plan.sources.params,
        precision=plan.sources.precision,
        first=dataclasses.replace(setup.images, images=setup.images.images[:1]),
        root=folder_of_factories(),
        made_from=plan.sources.shared,
    )
    divided = Spread(cluster)
    parts = dataclasses.replace(plan.parts, engine=partial(divided.explained, order))
    return dataclasses.replace(plan, parts=parts, results=iter(parts), workers=cluster.words, spread=divided)


def _module_of(task: Task) -> str:
    """Return the module that a worker imports to know the task; empty if it finds the task without."""
    module = str(inspect.unwrap(task.function).__module__)
    if task.file is not None or module.startswith("xai_eval.tasks."):
        return ""
    if module == "__main__":
        raise UsageError(
            f"task {task.name} is written in the program itself, which workers of a cluster do not run. Put it into a "
            "file of its own, and import that, or give it with --tasks FILE.py."
        )
    return module


def _files() -> tuple[str, ...]:
    from xai_eval.result.fields import KINDS
    from xai_eval.tasks.registry import TASKS

    tasks = [each.file for each in TASKS.values() if each.file is not None]
    return tuple(dict.fromkeys([*KINDS.needed_files, *tasks]))


def told_of_process(device: str) -> Contents:
    """Return what results depend on besides the order, by name: machine, device, threads, precision and libraries."""
    import torch

    from xai_eval.run.contents import of_process

    return of_process(torch.device(device))
