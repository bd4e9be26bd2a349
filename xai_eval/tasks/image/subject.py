"""One image, looked at once: what every task that explains a prediction begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.result.fields import Field, InputImage, Label, Mask, Ranking
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image.forward import Forward, forward, input_batch
from xai_eval.tasks.image.joined_stages import model_stages
from xai_eval.tasks.image.target import Target, resolve_target

if TYPE_CHECKING:
    import torch
    from torch import nn

    from xai_eval.explainers.cam.cams import CamMaps
    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.inputs.models.classifier import Classifier

PROBABILITY_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Subject:
    """An image as the model sees it, and what the model says of it.

    Attributes:
        classifier: the model.
        image: the image with what is known about it.
        batch: the model's input, (1, 3, H, W), on its device.
        seen: logits, and activations of the explained layer.
        target: intended, predicted and explained class.
        layer: name of the explained layer; None where none is.
    """

    classifier: Classifier
    image: LabelledImage
    batch: torch.Tensor
    seen: Forward
    target: Target
    layer: str | None

    @property
    def model(self) -> nn.Module:
        """The module itself, which returns logits, (1, C), for `batch`."""
        return self.classifier.module

    @cached_property
    def view(self) -> NDArray[np.uint8]:
        """What the model sees, before it is normalised, (H, W, 3)."""
        return self.classifier.preprocess.view(Image.fromarray(self.image.pixels))

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """The object's mask on the view, (H, W); None where it is unknown, or cropped away."""
        if self.image.mask is None:
            return None
        mask = self.classifier.preprocess.mask(self.image.mask)
        return mask if mask.any() else None

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits, (C,)."""
        exponentials = np.exp(self.seen.logits.astype(np.float64) - float(self.seen.logits.max()))
        return np.asarray(exponentials / exponentials.sum())

    def class_name(self, index: int) -> str:
        """Name of a class with its index, because names are not unique."""
        return str(Label(self.classifier.class_names[index], index))

    @property
    def fields(self) -> dict[str, Field]:
        """Classes, audit, best five classes, image, and the object's mask where it is known."""
        best = np.argsort(-self.probabilities, kind="stable")[:5]
        values = tuple(float(self.probabilities[i]) for i in best)
        classes = tuple(self.class_name(int(i)) for i in best)
        known: dict[str, Field] = {} if self.mask is None else {"mask": Mask(self.mask)}
        return {
            **self.target.fields,
            "top5": Ranking(classes, values, PROBABILITY_TOLERANCE),
            "image": InputImage(self.view),
            **known,
        }

    @property
    def stages(self) -> dict[Stage, Fingerprint]:
        """Fingerprints from the image to the explained class.

        The state of the model is that of now, so that what an explainer leaves behind in it is seen as well.
        """
        seen = self.seen.activations
        return {
            Stage(StageKind.IMAGE_BYTES): fingerprint_text(self.image.digest),
            Stage(StageKind.DECODED_PIXELS): fingerprint_array(self.image.pixels),
            Stage(StageKind.INPUT_TENSOR): fingerprint_array(self.batch.float().cpu().numpy()),
            Stage(StageKind.VIEW): fingerprint_array(self.view),
            **({} if self.mask is None else {Stage(StageKind.OBJECT_MASK): fingerprint_array(self.mask)}),
            **model_stages(self.classifier),
            **({} if seen is None else {Stage(StageKind.LAYER_ACTIVATIONS): fingerprint_array(seen)}),
            Stage(StageKind.LOGITS): fingerprint_array(self.seen.logits),
            Stage(StageKind.TARGET): fingerprint_text(str(self.target.explained)),
        }


def run_model(classifier: Classifier, image: LabelledImage, layer: str | None, target: str) -> Subject:
    """Run the model on an image and find out which class is explained; `check_target` has passed the target.

    Raises:
        ModelMisbehaves: the model returns what is no batch of logits.
        UsageError: the layer is not reached, or returns no map.
    """
    batch = input_batch(classifier, image.pixels)
    seen = forward(classifier, layer, batch)
    resolved = resolve_target(classifier, image, int(np.argmax(seen.logits)), target)
    return Subject(classifier, image, batch, seen, resolved, layer)


def cam_maps(subject: Subject, method: str = "gradcam", seed: int = 0) -> CamMaps:
    """Explain the class of a subject, at its layer, by one method of class activation maps.

    Raises:
        ModelMisbehaves: the model fails while the library calls it, or no gradient reaches the layer.
    """
    from xai_eval.explainers.cam.cams import explain
    from xai_eval.inputs.models.guarded import guarded

    classifier = subject.classifier
    assert subject.layer is not None
    with guarded(classifier.name, subject.batch.shape, method):
        explained = classifier.layer(subject.layer)
        return explain(classifier.module, explained, subject.batch, [subject.target.index], method, seed=seed)
