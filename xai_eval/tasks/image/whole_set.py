"""The case that sums up a whole image set: its input, stages and provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_eval.result.class_list import CLASS_LIST, class_list
from xai_eval.result.fingerprint import Fingerprint, fingerprint_text
from xai_eval.result.result import Case, Provenance
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image.environment import device_name, library_versions, precision_flags, told_wrappers
from xai_eval.tasks.image.joined_stages import Stages, joined_stages

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.tasks.image.explanation_setup import ExplanationSetup


def image_set_case(task: str, setup: ExplanationSetup, params: Mapping[str, Any]) -> Case:
    """Return the case of a whole set. Its input names the number of images, so that a selection is another case."""
    images = setup.images
    return Case(task, setup.classifier.name, input_with_count(images.name, len(images)), setup.recorded(params))


def input_with_count(name: str, count: int) -> str:
    """Return the name of a set with the number of its images, such as `scenes (4 images)`."""
    return f"{name} ({count} image{'s' if count != 1 else ''})"


def image_set_stages(images: ImageSet, every: Sequence[Stages]) -> dict[Stage, Fingerprint]:
    """Join the fingerprints of all images of a set.

    Args:
        images: the set.
        every: the stages of the result of each image, in the order of the images.
    """
    pixels = (hashlib.sha256(image.pixels.tobytes()).hexdigest() for image in images.images)
    return {
        **joined_stages(every),
        Stage(StageKind.IMAGE_BYTES): fingerprint_text(_joined(image.digest for image in images.images)),
        Stage(StageKind.DECODED_PIXELS): fingerprint_text(_joined(pixels)),
    }


def image_set_provenance(setup: ExplanationSetup, libraries: Iterable[str]) -> Provenance:
    """Record how the result of a whole set is computed on this machine."""
    classifier, images = setup.classifier, setup.images
    return Provenance(
        digests={"weights": classifier.weights_digest, "images": _joined(i.digest for i in images.images)},
        parameters={
            "preprocessing": classifier.preprocess.describe(),
            "classes": classifier.classes_from,
            **told_wrappers(classifier),
            CLASS_LIST: class_list(classifier.class_names, classifier.class_ids),
        },
        versions=library_versions(libraries),
        device=device_name(classifier.device),
        precision=precision_flags(classifier.device),
        seed=setup.seed,
    )


def _joined(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
