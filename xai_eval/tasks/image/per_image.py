"""Results of images that do not depend on each other: each can be computed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.inputs.steps import Steps, Turn
    from xai_eval.result.fingerprint import Fingerprint
    from xai_eval.result.result import Case, Result
    from xai_eval.result.stage import Stage
    from xai_eval.tasks.image.explanation_setup import ExplanationSetup


# Explains images in their order, on a cluster for instance.
Engine = Callable[[Sequence["LabelledImage"]], Iterator["Result"]]
# So many results are handed over before the next image is begun, because a forecast tells the cost of one by them.
_ALONE = 2
# Opens what has to hold while a model computes, such as a precision.
Surroundings = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, eq=False)
class SumUp:
    """One more result, of all images together, which is made of the results of the images.

    Attributes:
        case: its case.
        note: returns what it needs of the result of one image. It must take nothing but what the result stores, so that
            a result that an earlier run wrote gives the same.
        result: makes it of the notes of all images, in their order.
    """

    case: Case
    note: Callable[[LabelledImage, Result], Any]
    result: Callable[[Sequence[Any]], Result]


@dataclass(frozen=True, eq=False)
class PerImage:
    """One result per image, computed when an iterator reaches it. A run that was interrupted can go on with the rest.

    While the model works on an image, the next ones are read in threads, if it leaves cores for that.

    Attributes:
        task: name of the task.
        setup: model, images, class, layer and seed.
        params: the parameters that identify the case of an image.
        compute: explains an image.
        sum_up: the result of all images together; None if the task has none.
        engine: explains images somewhere else, as `compute` does; None to explain them in this process.
        apart: explains an image as `compute` does, in steps: those that do not use the model are done beside its work
            on other images. None if there is one step only.
        surroundings: what holds while the model computes in this process, and while results are put together.
    """

    task: str
    setup: ExplanationSetup
    params: Callable[[LabelledImage], Mapping[str, Any]]
    compute: Callable[[LabelledImage], Result]
    sum_up: SumUp | None = None
    engine: Engine | None = None
    apart: Steps[LabelledImage, Any, Any, Result] | None = None
    surroundings: Surroundings = nullcontext

    def __len__(self) -> int:
        return len(self.setup.images) + (self.sum_up is not None)

    def __iter__(self) -> Iterator[Result]:
        return self.without({})

    def without(self, kept: Mapping[str, Callable[[], Result]]) -> Iterator[Result]:
        """Compute the results that are not kept.

        Args:
            kept: by case key, what reads a result that an earlier run wrote; the result of all images needs it.

        Raises:
            ModelMisbehaves: the model answers otherwise after an image was explained.
        """
        needed = self.sum_up is not None and self.sum_up.case.key not in kept
        notes = []
        fresh = self._computed([each for each in self.setup.images.images if self.case(each).key not in kept])
        for image in self.setup.images.images:
            key = self.case(image).key
            if key in kept and not needed:
                continue
            result = kept[key]() if key in kept else next(fresh)
            if self.sum_up is not None and needed:
                notes.append(self.sum_up.note(image, result))
            if key not in kept:
                yield result
        if self.sum_up is not None and needed:
            with self.surroundings():
                whole = self.sum_up.result(notes)
            yield whole

    def _computed(self, images: Sequence[LabelledImage]) -> Iterator[Result]:
        from xai_eval.inputs.steps import in_order, items_ahead
        from xai_eval.tasks.image.beside_the_model import beside_the_model

        if self.engine is not None and images:
            return self.engine(images)
        several = len(images) > 1 or self.apart is not None
        ahead = items_ahead(self.setup.classifier.device) if several else 0
        if not ahead:
            return map(self.explained, images)
        return in_order(beside_the_model(self.explained, self.asked, self.apart), images, ahead=ahead, alone=_ALONE)

    def explained(self, image: LabelledImage) -> Result:
        """Explain an image in this process.

        Raises:
            ModelMisbehaves: the model answers otherwise after the image was explained.
        """
        with self.surroundings():
            result = self.compute(image)
            self.setup.check_model(image)
        return result

    def asked(self, image: LabelledImage, turn: Turn[Any]) -> Any:
        """Do the one step of `apart` that uses the model.

        Raises:
            ModelMisbehaves: the model answers otherwise afterwards.
        """
        assert self.apart is not None
        with self.surroundings():
            answers = self.apart.ask(image, turn)
            self.setup.check_model(image)
        return answers

    def altered(self, alter: Callable[[Result], Result]) -> PerImage:
        """Return the same with every result given to a function, such as one that sets tolerances."""
        whole, engine, apart = self.sum_up, self.engine, self.apart
        return replace(
            self,
            compute=lambda image: alter(self.compute(image)),
            engine=None if engine is None else lambda images: map(alter, engine(images)),
            apart=None if apart is None else replace(apart, finish=lambda *given: alter(apart.finish(*given))),
            sum_up=None if whole is None else replace(whole, result=lambda notes: alter(whole.result(notes))),
        )

    def case(self, image: LabelledImage) -> Case:
        """Return the case of an image, without computing anything."""
        return self.setup.case(self.task, image, self.params(image))

    def begin(self, image: LabelledImage) -> Mapping[Stage, Fingerprint]:
        """Return the stages before the explanation, from the bytes of the image to the class, by one forward pass."""
        with self.surroundings():
            return self.setup.run_model(image).stages
