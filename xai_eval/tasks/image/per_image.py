"""Results of images that do not depend on each other: each can be computed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.result.fingerprint import Fingerprint
    from xai_eval.result.result import Case, Result
    from xai_eval.result.stage import Stage
    from xai_eval.tasks.image.explanation_setup import ExplanationSetup


@dataclass(frozen=True, eq=False)
class PerImage:
    """One result per image, computed when an iterator reaches it. A run that was interrupted can go on with the rest.

    Attributes:
        task: name of the task.
        setup: model, images, class, layer and seed.
        params: the parameters that identify the case of an image.
        compute: explains an image.
    """

    task: str
    setup: ExplanationSetup
    params: Callable[[LabelledImage], Mapping[str, Any]]
    compute: Callable[[LabelledImage], Result]

    def __len__(self) -> int:
        return len(self.setup.images)

    def __iter__(self) -> Iterator[Result]:
        return map(self.compute, self.setup.images.images)

    def case(self, image: LabelledImage) -> Case:
        """Return the case of an image, without computing anything."""
        return self.setup.case(self.task, image, self.params(image))

    def begin(self, image: LabelledImage) -> Mapping[Stage, Fingerprint]:
        """Return the stages before the explanation, from the bytes of the image to the class, by one forward pass."""
        return self.setup.run_model(image).stages
