"""Finds the class to explain, and reports where the intended, the predicted and the explained class differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_eval.errors import UsageError
from xai_eval.result.fields import Field, Label

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet, Intended, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier

PREDICTED, INTENDED = "predicted", "intended"


@dataclass(frozen=True)
class Target:
    """The three classes of one image.

    Attributes:
        intended: the class that the image should show, by its file name or its generator; without text if unknown, and
            without index if the model has no such class.
        predicted: the top class of the model.
        explained: the class that the maps explain; its index is never None.
        caution: why the maps may mean nothing; None if nothing is known.
    """

    intended: Label
    predicted: Label
    explained: Label
    caution: str | None = None

    @property
    def index(self) -> int:
        """Index of the explained class."""
        assert self.explained.index is not None
        return self.explained.index

    @property
    def audit(self) -> str | None:
        """Describe in a sentence how the three classes differ; None if there is nothing to say."""
        sees, parts = f'the model sees "{self.predicted.text}"', []
        if self.intended.text is not None and self.intended.index is None:
            parts.append(f'"{self.intended.text}" is intended but is no class of this model; {sees}')
        elif self.intended.text is not None and self.intended != self.predicted:
            parts.append(f'"{self.intended.text}" is intended, but {sees}')
        if self.explained != self.predicted:
            parts.append(f'the maps explain "{self.explained.text}", although {sees}')
        elif parts:
            parts.append(f'the maps explain "{self.explained.text}"')
        parts += [] if self.caution is None else [self.caution]
        return "; ".join(parts) or None

    @property
    def fields(self) -> dict[str, Field]:
        """The three classes and the audit as fields of a Result."""
        classes: dict[str, Field] = {
            "predicted": self.predicted,
            "explained": self.explained,
            "intended": self.intended,
        }
        return {**classes, "audit": Label(self.audit)}


def check_target(classifier: Classifier, images: ImageSet, target: str) -> None:
    """Check, before anything is computed, that the target can be explained for every image.

    Raises:
        UsageError: `target` is neither `predicted` nor `intended` nor a class of the model, or it is `intended` and the
            model has no such class for one of the images.
    """
    if target == PREDICTED and not classifier.reading.has_prediction:
        raise UsageError(
            f"{classifier.name} returns {len(classifier.class_names)} values, none of which is its prediction. Choose "
            "the one to explain with --target."
        )
    if target not in (PREDICTED, INTENDED):
        classifier.class_index(target)
    lost = [image.name for image in images.images if _intended(classifier, image).index is None]
    if target == INTENDED and lost:
        raise UsageError(
            f"{lost[0]} has no intended class that {classifier.name} knows, so that it cannot be explained "
            f"({len(lost)} of {len(images.images)} images). "
            "Name files <WordNet id>_<class name>, or choose another --target."
        )


def resolve_target(classifier: Classifier, image: LabelledImage, predicted: int, target: str) -> Target:
    """Look up the three classes of an image.

    Args:
        classifier: the model.
        image: the image with its intended class.
        predicted: index of the model's top class.
        target: `predicted`, `intended`, or a class by index, name or WordNet id. `check_target` must have accepted it.
    """
    intended = _intended(classifier, image)
    indices = {PREDICTED: predicted, INTENDED: intended.index}
    explained = indices[target] if target in indices else classifier.class_index(target)
    assert explained is not None
    names = classifier.class_names
    return Target(intended, Label(names[predicted], predicted), Label(names[explained], explained))


def intended_index(intended: Intended | None, classifier: Classifier) -> int | None:
    """Return the index of the class that an image should show; None if `classifier` has no such class.

    WordNet ids are compared if both the image and the classifier have them. Otherwise names are compared, and a name
    counts only if exactly one class has it.
    """
    if intended is None:
        return None
    if intended.wnid is not None and classifier.class_ids is not None:
        found = [index for index, each in enumerate(classifier.class_ids) if each == intended.wnid]
    else:
        found = classifier.indices_named(intended.name)
    return found[0] if len(found) == 1 else None


def _intended(classifier: Classifier, image: LabelledImage) -> Label:
    if image.intended is None:
        return Label(None)
    index = intended_index(image.intended, classifier)
    if index is None and classifier.references is not None:
        return Label(None)  # references are no classes that an image should show
    return Label(image.intended.name if index is None else classifier.class_names[index], index)
