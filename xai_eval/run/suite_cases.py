"""The cases of a suite one by one, for tests: their names are known before anything is computed."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.models.called_in import factories_called_in
from xai_eval.result.result import Result
from xai_eval.run.plan import Plan
from xai_eval.run.suite import Inputs, Request, completed, plan_one, requests_of
from xai_eval.settings.engine import IN_THIS_PROCESS
from xai_eval.settings.settings import Settings
from xai_eval.tasks import find_task, load_task_file

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet

WHOLE_SET = "whole set"


@dataclass(frozen=True)
class SuiteCase:
    """A case of a suite: an image with a request.

    Attributes:
        name: unique name, for people.
        request: what the suite asks for.
        image: name of the image; None for the results of a request that are not about one image each.
    """

    name: str
    request: Request
    image: str | None


@dataclass(frozen=True)
class Computed:
    """What was computed for a case.

    Attributes:
        results: one, or all of a request whose results are not about one image each.
        request: how the case was asked for, as the record of a run keeps it.
        inputs: name of the image set or probe set.
        complete: False if the inputs are a selection, such as one file of a folder.
    """

    results: Sequence[Result]
    request: Mapping[str, Any]
    inputs: str
    complete: bool


class Suite:
    """The suite of a configuration. What it loads and computes is kept as long as it is needed.

    Attributes:
        cases: the cases, in the order of the file.
    """

    def __init__(self, settings: Settings) -> None:
        """List the cases. No model is loaded, and nothing is computed.

        Raises:
            UsageError: there is no suite, or it is wrong.
            InputUnavailable: images, or a file with tasks, cannot be read.
        """
        if not settings.suite:
            raise UsageError(f"{_lacks_a_suite(settings)}, so there are no cases to test. `xai-eval init` shows one.")
        for file in settings.task_files:
            load_task_file(file)
        self._inputs, self._root = Inputs(), settings.root
        self._whole: dict[int, Computed] = {}
        # Each test computes its case in the process that runs it: pytest-xdist has workers of its own.
        own = dataclasses.replace(settings, engine=IN_THIS_PROCESS)
        self._requests = requests_of([completed(each, own) for each in own.suite], own)
        self.cases = tuple(_named([case for request in self._requests for case in self._cases(request)]))

    def compute(self, case: SuiteCase) -> Computed:
        """Compute a case: of an image alone, or together with all others if its task sums up the whole set.

        Raises:
            XaiEvalError: what `plan` and the task raise.
        """
        with factories_called_in(self._root):
            return self._computed(case)

    def _computed(self, case: SuiteCase) -> Computed:
        if case.image is not None and not find_task(case.request.task).whole_set:
            return _computed(plan_one(case.request, self._inputs, self._only(case)), self._complete(case.request))
        key = id(case.request)
        if key not in self._whole:
            self._whole[key] = _computed(plan_one(case.request, self._inputs), self._complete(case.request))
        whole = self._whole[key]
        return dataclasses.replace(whole, results=[each for each in whole.results if _is_of(each, case)])

    def _cases(self, request: Request) -> Iterator[SuiteCase]:
        task, about = find_task(request.task), _about(request)
        if task.probe:
            yield SuiteCase(about, request, None)
            return
        images = self._images(request)
        for note in images.notes if not images.complete else ():
            warnings.warn(f"{note}.", stacklevel=2)  # pytest shows it once, after its tests
        for image in images.images:
            yield SuiteCase(f"{about}-{images.name}/{image.name}", request, image.name)
        if task.whole_set:
            yield SuiteCase(f"{about}-{images.name} {WHOLE_SET}", request, None)

    def _images(self, request: Request) -> ImageSet:
        from xai_eval.inputs.images.labelled import ImageSet

        try:
            images = self._inputs.images(request)
        except (UsageError, InputUnavailable) as error:
            raise request.failed(error) from error
        assert isinstance(images, ImageSet)
        return images

    def _only(self, case: SuiteCase) -> ImageSet:
        images = self._images(case.request)
        chosen = tuple(image for image in images.images if image.name == case.image)
        return dataclasses.replace(images, images=chosen, complete=False)

    def _complete(self, request: Request) -> bool:
        """Whether the suite uses all of a set: by this request, or by another one, as for a run of the command line."""
        images = self._inputs.images(request)
        return bool(getattr(images, "complete", True)) or images.name in self._complete_sets

    @functools.cached_property
    def _complete_sets(self) -> set[str]:
        every = (self._inputs.images(request) for request in self._requests)
        return {images.name for images in every if getattr(images, "complete", True)}


def _computed(plan: Plan, complete: bool) -> Computed:
    results = list(plan.results)
    names = {"task": plan.task, "model_name": plan.model, "inputs": plan.inputs}
    return Computed(results, {**plan.request, **names}, plan.inputs, complete)


def _is_of(result: Result, case: SuiteCase) -> bool:
    """Whether a result is of the image of a case; of a case without an image, whether it is about no single image."""
    name = result.case.input.partition("/")[2]
    return name == (case.image or "") or (case.image is None and find_task(case.request.task).probe)


def _about(request: Request) -> str:
    """Return task, model and layer of a request, without folders."""
    model = request.model or find_task(request.task).model
    short = Path(model.removeprefix("file:")).name if model.startswith("file:") else model
    layer = request.params.get("layer")
    return "-".join([request.task, short, *([str(layer)] if layer else [])])


def _named(cases: Sequence[SuiteCase]) -> Iterator[SuiteCase]:
    """Number the names that several cases have, because their requests differ in other parameters."""
    counts = Counter[str]()
    for case in cases:
        counts[case.name] += 1
        number = f" ({counts[case.name]})" if counts[case.name] > 1 else ""
        yield dataclasses.replace(case, name=f"{case.name}{number}")


def _lacks_a_suite(settings: Settings) -> str:
    if settings.file is not None:
        return f"{settings.name} has no [[suite]]"
    return (
        "no configuration file was found at or above the folder in which pytest starts (in a repository of several "
        "packages, start it in the folder of one)"
    )
