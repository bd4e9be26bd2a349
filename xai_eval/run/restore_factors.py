"""Compute a case again with some of its factors restored to what they were when its golden was made.

The factors are the model, its preprocessing, the parameters, the precision (torch's flags and autocast) and the device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError
from xai_eval.result.precisions import AUTOCAST, DEFAULT
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.run.in_precision import results_in
from xai_eval.run.plan import choose_device, load_inputs
from xai_eval.tasks import Task, find_task

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet


@dataclass(frozen=True)
class RunRequest:
    """The request of the run that obtained a case, and where to find the model of the golden.

    Attributes:
        task: name of the task.
        model: spec of the model; the task's default if None.
        images: spec of the images; the task's default if None.
        device: `auto`, `cpu`, `cuda`, ...
        precision: in which the model computes.
        params: parameters of the task.
        old_model: spec of the golden's model; the model name in the golden if None.
    """

    task: str
    model: str | None = None
    images: str | None = None
    device: str = "auto"
    precision: str = DEFAULT
    params: Mapping[str, Any] = field(default_factory=dict)
    old_model: str | None = None


def compute_with_restored(request: RunRequest, case: Case, golden: Result, restored: Collection[str]) -> Result:
    """Compute a case again, with some factors restored to what its golden records.

    Args:
        request: the request of the run that obtained the case.
        case: the case to compute.
        golden: the golden of the case.
        restored: the factors to restore: any of `model`, `preprocessing`, `parameters`, `precision` and `device`.

    Raises:
        UsageError: a factor cannot be restored on this machine, or the request does not lead to the case.
        InputUnavailable: a model or image is missing.
        ModelMisbehaves: the model raises an error, or its output cannot be explained.
    """
    task = find_task(request.task)
    classifier = _classifier(request, golden, restored, task)
    inputs = _only(load_inputs(task, task.images if request.images is None else request.images), case)
    params = dict(request.params)
    if "parameters" in restored:
        params |= golden_arguments(case, golden, task)
    former = golden.provenance if "precision" in restored else None
    precision = request.precision if former is None else former.precision.get(AUTOCAST, DEFAULT)
    with _flags_of(former):
        results = list(results_in(precision, task, classifier, inputs, params))
    return _of_case(results, case, classifier.name)


def golden_arguments(case: Case, golden: Result, task: Task) -> dict[str, Any]:
    """Return the golden's parameters that differ from the case, and its seed, as arguments of the task.

    Raises:
        UsageError: the golden does not record enough about a parameter to make an argument of it.
    """
    found: dict[str, Any] = {"seed": golden.provenance.seed} if "seed" in task.parameters else {}
    for name, value in golden.case.params.items():
        if case.params.get(name) != value:
            given = task.arguments(name, value, task.parameters)
            if not set(given) <= set(task.parameters):
                raise UsageError(f"the recorded {name} cannot be turned back into an argument")
            found |= given
    return found


def _classifier(request: RunRequest, golden: Result, restored: Collection[str], task: Task) -> Classifier:
    from xai_eval.inputs.models.models import load_model
    from xai_eval.inputs.models.recorded_preprocessing import recorded_preprocessing

    device = golden.provenance.device if "device" in restored else request.device
    spec = (request.old_model or golden.case.model) if "model" in restored else (request.model or task.model)
    classifier = load_model(spec, device=choose_device(device))
    weights = golden.provenance.digests.get("weights")
    if "model" in restored and weights not in (None, classifier.weights_digest):
        raise UsageError(
            f"{spec} has weights with the digest {classifier.weights_digest[:8]}, but the golden was made with "
            f"{weights[:8]}: name the golden's model with --old-model"
        )
    if "preprocessing" in restored:
        described = golden.provenance.parameters.get("preprocessing")
        classifier = dataclasses.replace(classifier, preprocess=recorded_preprocessing(described))
    return classifier


def _only(inputs: ImageSet | ProbeSet, case: Case) -> ImageSet | ProbeSet:
    """Select the one image that the case is about; return all inputs if the case is about a whole set."""
    from xai_eval.inputs.images.labelled import ImageSet

    if not isinstance(inputs, ImageSet) or "/" not in case.input:
        return inputs
    images = tuple(image for image in inputs.images if f"{inputs.name}/{image.name}" == case.input)
    if not images:
        raise UsageError(f"{case.input} is not among the images of {inputs.name}; name its image set with --images.")
    return dataclasses.replace(inputs, images=images, complete=False)


def _of_case(results: list[Result], case: Case, model: str) -> Result:
    """Return the result with the input of the case, preferring the model of the case and then the loaded model."""
    same = [each for each in results if each.case.input == case.input]
    found = [each for each in same if each.case.model in (case.model, model)] or same
    if not found:
        raise UsageError(f"the given options lead to no case about {case.input}. Give the options that the run had.")
    return next((each for each in found if each.case.model == case.model), found[0])


@contextmanager
def _flags_of(provenance: Provenance | None) -> Iterator[None]:
    """Set torch's precision flags to the recorded values while the context is open, then set them back."""
    if provenance is None:
        yield
        return
    from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic

    before = arithmetic()
    try:
        _set(provenance.precision)
        yield
    finally:
        restore_arithmetic(before)


def _set(values: Mapping[str, Any]) -> None:
    for name, put in _flags().items():
        if name in values:
            try:
                put(values[name])
            except RuntimeError as error:
                raise UsageError(f"the recorded precision {name} = {values[name]!r} cannot be set here") from error


def _flags() -> dict[str, Callable[[Any], None]]:
    """Return, for each precision flag of a provenance, the function that sets it."""
    import torch
    from torch import backends

    return {
        "float32_matmul": torch.set_float32_matmul_precision,
        "mkldnn": partial(setattr, backends.mkldnn, "enabled"),
        "cudnn_tf32": partial(setattr, backends.cudnn, "allow_tf32"),
        "cudnn_deterministic": partial(setattr, backends.cudnn, "deterministic"),
    }
