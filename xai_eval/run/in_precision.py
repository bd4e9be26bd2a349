"""Lets a task compute in the precision that a run asks for. This is the one place where a precision is set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from xai_eval.result.precisions import DEFAULT
from xai_eval.tasks import Results

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.result.result import Result
    from xai_eval.tasks import Task


def results_in(
    precision: str, task: Task, classifier: Classifier, inputs: ImageSet | ProbeSet, params: Mapping[str, Any]
) -> Iterable[Result]:
    """Call a task, so that its model is examined and its results are computed in a precision.

    The precision is set while the task computes, and set back before a result is handed on.

    Args:
        precision: one of `PRECISIONS`.
        task: the task.
        classifier: its model. What is known of how it answers is found out anew, because a precision may change it.
        inputs: its images, or its probe set.
        params: its parameters.

    Returns:
        What the task returns.

    Raises:
        UsageError: the device lacks the precision, or it changes nothing of what the model answers; or as the task.
        ModelMisbehaves: the model fails.
    """
    from xai_eval.inputs.models.precision import check_available, computing_in
    from xai_eval.inputs.models.precision_effect import check_effect
    from xai_eval.tasks.image.per_image import PerImage

    check_available(precision, classifier.device)
    if precision == DEFAULT:
        return task(classifier, inputs, **params)
    check_effect(precision, classifier)
    around = partial(computing_in, precision, classifier.device)
    with around():
        results = task(dataclasses.replace(classifier), inputs, **params)
    if isinstance(results, PerImage):
        return dataclasses.replace(results, surroundings=around)
    if isinstance(results, Results):
        return dataclasses.replace(results, iterator=_inside(results.iterator, around))
    return _inside(iter(results), around)


def _inside(results: Iterator[Result], around: Callable[[], AbstractContextManager[None]]) -> Iterator[Result]:
    """Compute each result inside of a context, which is closed whenever one is handed on."""
    while True:
        with around():
            found = next(results, None)
        if found is None:
            return
        yield found
