"""Compute a case again with some of what it depends on put back to what its golden was made with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.run.evaluate import choose_device, load_inputs
from xai_eval.tasks import Task, find_task

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet


@dataclass(frozen=True)
class Asked:
    """How a case was asked for, and where its golden's model is.

    Attributes:
        task: name of the task.
        model: spec of the model; the task's default if None.
        images: spec of the images; the task's default if None.
        device: `auto`, `cpu`, `cuda`, ...
        params: parameters of the task.
        old_model: spec of the golden's model, where its name alone does not lead to it.
    """

    task: str
    model: str | None = None
    images: str | None = None
    device: str = "auto"
    params: Mapping[str, Any] = field(default_factory=dict)
    old_model: str | None = None


def compute_again(asked: Asked, case: Case, golden: Result, restored: Collection[str]) -> Result:
    """Return the result of a case with some factors as its golden has them.

    Args:
        asked: how the run was asked for that obtained the case.
        case: the case.
        golden: what it is judged by.
        restored: of `model`, `preprocessing`, `parameters`, `precision` and `device`.

    Raises:
        UsageError: a factor cannot be put back here, or the case is not among what was asked for.
        InputUnavailable: a model or image is missing.
        ModelMisbehaves: the model raises, or returns what cannot be explained.
    """
    task = find_task(asked.task)
    classifier = _classifier(asked, golden, restored, task)
    inputs = _only(load_inputs(task, task.images if asked.images is None else asked.images), case)
    params = dict(asked.params)
    if "parameters" in restored:
        params |= golden_arguments(case, golden, task)
    with _precision(golden.provenance if "precision" in restored else None):
        results = list(task(classifier, inputs, **params))
    return _of_case(results, case, classifier.name)


def golden_arguments(case: Case, golden: Result, task: Task) -> dict[str, Any]:
    """Turn the parameters in which a golden differs from a case back into arguments of its task, with its seed.

    Raises:
        UsageError: one of them cannot be told from what is recorded.
    """
    found: dict[str, Any] = {"seed": golden.provenance.seed} if "seed" in task.parameters else {}
    for name, value in golden.case.params.items():
        if case.params.get(name) != value:
            given = task.arguments(name, value, task.parameters)
            if not set(given) <= set(task.parameters):
                raise UsageError(f"the recorded {name} cannot be turned back into an argument")
            found |= given
    return found


def _classifier(asked: Asked, golden: Result, restored: Collection[str], task: Task) -> Classifier:
    from xai_eval.inputs.models.models import load_model
    from xai_eval.inputs.models.recorded_preprocessing import recorded_preprocessing

    device = golden.provenance.device if "device" in restored else asked.device
    spec = (asked.old_model or golden.case.model) if "model" in restored else (asked.model or task.model)
    classifier = load_model(spec, device=choose_device(device))
    weights = golden.provenance.digests.get("weights")
    if "model" in restored and weights not in (None, classifier.weights_digest):
        raise UsageError(
            f"{spec} has the weights {classifier.weights_digest[:8]}, the golden was made with {weights[:8]}: name its "
            "model with --old-model"
        )
    if "preprocessing" in restored:
        described = golden.provenance.parameters.get("preprocessing")
        classifier = dataclasses.replace(classifier, preprocess=recorded_preprocessing(described))
    return classifier


def _only(inputs: ImageSet | ProbeSet, case: Case) -> ImageSet | ProbeSet:
    """The image of a case alone, where the case is about one."""
    from xai_eval.inputs.images.labelled import ImageSet

    if not isinstance(inputs, ImageSet) or "/" not in case.input:
        return inputs
    images = tuple(image for image in inputs.images if f"{inputs.name}/{image.name}" == case.input)
    if not images:
        raise UsageError(f"{case.input} is not among the images of {inputs.name}; name its image set with --images.")
    return dataclasses.replace(inputs, images=images, complete=False)


def _of_case(results: list[Result], case: Case, model: str) -> Result:
    """Of what a task gave, what is about the same input, and of the model that was asked if there are several."""
    same = [each for each in results if each.case.input == case.input]
    found = [each for each in same if each.case.model in (case.model, model)] or same
    if not found:
        raise UsageError(f"what was asked for gives no case about {case.input}; ask as the run did.")
    return next((each for each in found if each.case.model == case.model), found[0])


@contextmanager
def _precision(provenance: Provenance | None) -> Iterator[None]:
    """Put torch's precision flags to recorded values, and back."""
    if provenance is None:
        yield
        return
    before = {name: get() for name, (get, _) in _flags().items()}
    try:
        _set(provenance.precision)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, Any]) -> None:
    for name, (_, put) in _flags().items():
        if name in values:
            put(values[name])


def _flags() -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
    """How the flags of a provenance are read and set."""
    import torch
    from torch import backends

    def setting(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)

    return {
        "float32_matmul": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "mkldnn": setting(backends.mkldnn, "enabled"),
        "cudnn_tf32": setting(backends.cudnn, "allow_tf32"),
        "cudnn_deterministic": setting(backends.cudnn, "deterministic"),
    }
