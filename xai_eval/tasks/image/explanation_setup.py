"""The options that all tasks on images share. They are checked before anything is computed or overwritten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.media.progress import say
from xai_eval.result.result import Case, Provenance
from xai_eval.tasks.image.environment import provenance
from xai_eval.tasks.image.forward import input_batch
from xai_eval.tasks.image.subject import Subject, cam_maps, run_model
from xai_eval.tasks.image.target import check_target

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.models.examination import Examination

# The largest seed that numpy, torch and scikit-image all accept.
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class ExplanationSetup:
    """What is explained: model, images, class and layer, together with the seed.

    Attributes:
        classifier: the model.
        images: the images to explain.
        target: `predicted`, `intended`, or a class by index, name or WordNet id, always as text.
        layer: name of the explained layer; None for a task that needs no layer.
        seed: the first seed.
        examination: what the model did with the first image.
    """

    classifier: Classifier
    images: ImageSet
    target: str
    layer: str | None
    seed: int
    examination: Examination

    def case(self, task: str, image: LabelledImage, params: Mapping[str, Any]) -> Case:
        """Return the case of one image. `params` are the parameters of the task that identify the case."""
        return Case(task, self.classifier.name, f"{self.images.name}/{image.name}", self.recorded(params))

    def recorded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a task together with what all tasks on images record: target, layer, references."""
        layer = {} if self.layer is None else {"layer": self.layer}
        references = self.classifier.references
        compared = {} if references is None else {"similar_to": references.identity}
        return {**params, "target": self.target, **layer, **compared}

    def view(self, image: LabelledImage) -> NDArray[np.uint8]:
        """Return an image as the model sees it, uint8 (H, W, 3). The model is not needed."""
        return self.classifier.preprocess.view(Image.fromarray(image.pixels))

    def run_model(self, image: LabelledImage, view: NDArray[np.uint8] | None = None) -> Subject:
        """Run the model on one image and find out which class is explained; `view` if it is already known."""
        return run_model(self.classifier, image, self.layer, self.target, self.examination, view)

    def check_model(self, image: LabelledImage) -> None:
        """Raise ModelMisbehaves if the model answers the first image otherwise now that `image` was explained."""
        from xai_eval.inputs.models.same_answer import check_same_answer

        first, name = self.examination.answer, self.classifier.name
        if first is not None:
            check_same_answer(self.classifier.scoring, first, name, f"{image.name} was explained")

    def with_remarks(self, *remarks: str) -> ExplanationSetup:
        """Return the setup with more remarks, which every result records. They are printed once."""
        for remark in remarks:
            say(remark)
        return replace(self, examination=replace(self.examination, remarks=(*self.examination.remarks, *remarks)))

    def provenance(self, image: LabelledImage, libraries: Iterable[str]) -> Provenance:
        """Record how the result of one image is computed on this machine."""
        return provenance(self.classifier, image, libraries, self.seed)


def check_setup(
    classifier: Classifier,
    images: ImageSet,
    layer: str | None,
    target: str | int,
    seed: int,
    seeds: int = 1,
    *,
    gradients: bool = False,
    otherwise: str = "",
    methods: Collection[str] | None = None,
) -> ExplanationSetup:
    """Check layer, target and seeds. The model is run on the first image, to see what the layer returns.

    Args:
        classifier: the model.
        images: the images to explain.
        layer: name of a layer; the default layer if None.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        seed: the first seed.
        seeds: number of consecutive seeds that the task uses.
        gradients: whether the task needs gradients at the layer.
        otherwise: what to do if no gradient reaches it, as a sentence, where the task offers no other methods.
        methods: the methods that were chosen to explain the layer; None if the task offers no choice.

    Raises:
        UsageError: the class or the layer is unknown, the layer does not return a map, or a seed is out of range.
        ModelMisbehaves: the model raises an error on the first image, its output cannot be explained, or no gradient
            reaches the layer although the task needs one.
    """
    check_seed(seed, seeds)
    check_target(classifier, images, str(target))
    remark = ""
    if layer:
        layer = classifier.layer_name(layer)
    else:
        found = classifier.found_layer()
        layer, remark = found.name, found.remark(classifier.name)
    examination = _examined_on_first_image(classifier, images, layer, methods)
    setup = ExplanationSetup(classifier, images, str(target), layer, seed, examination)
    if remark:
        setup = setup.with_remarks(remark)
    if gradients and not examination.reached:
        _check_gradient(setup, otherwise)
    return setup


def _check_gradient(setup: ExplanationSetup, otherwise: str) -> None:
    """Raise ModelMisbehaves if Grad-CAM of the first image gets no gradient, before earlier results are removed."""
    from xai_eval.explainers.cam.differentiable import NoGradient
    from xai_eval.inputs.models.model_state import lent

    try:
        with lent(setup.classifier.scoring):
            cam_maps(setup.run_model(setup.images.images[0]), seed=setup.seed)
    except NoGradient as error:
        raise (NoGradient(otherwise) if otherwise else error) from None


def check_setup_of_both(
    classifier: Classifier, images: ImageSet, layer: str | None, target: str | int, seed: int
) -> ExplanationSetup:
    """Check as `check_setup` does, for a task about Grad-CAM and LIME together, which cannot do without either."""
    otherwise = "Choose another layer, or the task lime, which does without Grad-CAM where it must."
    return check_setup(classifier, images, layer, target, seed, gradients=True, otherwise=otherwise)


def check_setup_beside(
    classifier: Classifier, images: ImageSet, layer: str | None, target: str | int, seed: int, seeds: int
) -> ExplanationSetup:
    """Check as `check_setup` does, for a task that computes Grad-CAM beside, where the model allows it.

    Where it does not, and no layer was named, the layer of the returned setup is None, and its examination remarks why.
    """
    otherwise = "Name a layer that one reaches by --layer."
    if layer is not None:
        otherwise = "Name another --layer, or leave it out: LIME itself needs none."
    try:
        return check_setup(classifier, images, layer, target, seed, seeds, gradients=True, otherwise=otherwise)
    except (UsageError, ModelMisbehaves) as error:
        if layer is not None:
            raise
        reason = str(error)
    # What is wrong with more than the layer is raised again.
    setup = check_setup_without_layer(classifier, images, target, seed, seeds)
    return setup.with_remarks(f"{classifier.name}: there is no Grad-CAM beside LIME: {reason}")


def check_setup_without_layer(
    classifier: Classifier, images: ImageSet, target: str | int, seed: int, seeds: int = 1
) -> ExplanationSetup:
    """Check target and seeds for a task that needs no layer; otherwise like `check_setup`."""
    check_seed(seed, seeds)
    check_target(classifier, images, str(target))
    return ExplanationSetup(
        classifier, images, str(target), None, seed, _examined_on_first_image(classifier, images, None)
    )


def _examined_on_first_image(
    classifier: Classifier, images: ImageSet, layer: str | None, methods: Collection[str] | None = None
) -> Examination:
    from xai_eval.inputs.models.examination import examine

    found = examine(classifier, layer, input_batch(classifier, images.images[0].pixels), methods)
    for assumption in (*found.assumptions, *found.remarks):
        say(assumption)
    return found


def check_seed(seed: int, seeds: int = 1) -> None:
    """Raise UsageError unless all libraries accept the `seeds` consecutive seeds that begin with `seed`."""
    if not 0 <= seed <= LARGEST_SEED - seeds + 1:
        raise UsageError(f"seed is {seed!r}; expected a whole number from 0 to {LARGEST_SEED - seeds + 1}.")
