"""Runs the model on one image. Every task that explains a prediction begins with this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.metrics.faithfulness import Canvas
from xai_eval.result.fields import Document, Field, InputImage, Label, Mask, Note, Ranking
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.cost import part
from xai_eval.tasks.image.box_fields import box_fields
from xai_eval.tasks.image.forward import Forward, forward, input_batch
from xai_eval.tasks.image.joined_stages import model_stages
from xai_eval.tasks.image.target import Target, resolve_target

if TYPE_CHECKING:
    import torch
    from torch import nn

    from xai_eval.explainers.cam.cam_maps import CamMaps
    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.inputs.models.boxes import Box
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.models.examination import Examination
    from xai_eval.inputs.models.same_answer import FirstAnswer

# An entry of the description of the model that is a sentence: the facts behind it are among the parameters, and the
# prepared image is a stage.
_SENTENCES = ("preprocessing",)
PROBABILITY_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Subject:
    """One image to explain: the input that the model gets, what the model predicts, and which class is explained.

    Attributes:
        classifier: the model.
        image: the original image, with its mask and its intended class if they are known.
        batch: the input of the model, (1, 3, H, W), on the device of the model.
        seen: the output of the forward pass: logits, (C,), and activations of the explained layer, (c, h, w).
        target: intended, predicted and explained class. `target.index` is the index of the explained class.
        layer: name of the explained layer; None if the task needs no layer.
        examination: what the model did with the first image of the run.
        known_view: the image as the model sees it, uint8 (H, W, 3); None to compute it when it is asked for.
    """

    classifier: Classifier
    image: LabelledImage
    batch: torch.Tensor
    seen: Forward
    target: Target
    layer: str | None
    examination: Examination
    known_view: NDArray[np.uint8] | None = None

    @cached_property
    def model(self) -> nn.Module:
        """The torch module, which returns scores, (1, C), for `batch`: logits, or what the model has in their place."""
        from xai_eval.inputs.models.boxes import box_scores
        from xai_eval.inputs.models.region import region_scores

        if self.region is not None:
            return region_scores(self.classifier, self.region)
        return self.classifier.scoring if self.box is None else box_scores(self.classifier, self.box)

    @property
    def answer(self) -> FirstAnswer | None:
        """What the model answered, to be asked for again; None if it is known to be unsteady, or is asked otherwise."""
        import torch

        from xai_eval.inputs.models.examination import LARGEST_DIFFERENCE
        from xai_eval.inputs.models.precision import allowed_difference
        from xai_eval.inputs.models.same_answer import FirstAnswer

        known = self.examination.answer
        if known is None or known.allowed is None or self.model is not self.classifier.scoring:
            return None
        scores = torch.from_numpy(self.seen.logits)[None].to(self.batch.device)
        return FirstAnswer(self.batch, scores, allowed_difference(LARGEST_DIFFERENCE))

    @cached_property
    def region(self) -> torch.Tensor | None:
        """Where a segmentation sees the explained class, bool (h, w) of its output; None for other models."""
        from xai_eval.inputs.models.reading import OutputKind
        from xai_eval.inputs.models.region import region_of

        if self.classifier.reading.kind is not OutputKind.SEGMENTATION:
            return None
        return region_of(self.classifier, self.batch, self.target.index)

    @cached_property
    def box(self) -> Box | None:
        """The box that is explained of a detector; None for other models, and if it finds no box of the class."""
        from xai_eval.inputs.models.boxes import box_of
        from xai_eval.inputs.models.reading import OutputKind

        if self.classifier.reading.kind is not OutputKind.DETECTION:
            return None
        return box_of(self.classifier, self.batch, self.target.index, float(self.seen.logits[self.target.index]))

    @cached_property
    def predict(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Computes the numbers that people read, (N, C), of views, uint8 (N, H, W, 3); of a detector, at the box."""
        from xai_eval.explainers.lime.probabilities import probabilities

        if self.box is None:
            return probabilities(self.classifier)
        x0, y0, x1, y1 = self.box.corners.tolist()
        return probabilities(replace(self.classifier, box=(x0, y0, x1, y1)))

    @cached_property
    def view(self) -> NDArray[np.uint8]:
        """The image as the model sees it, resized and cropped but not normalised, uint8 (H, W, 3)."""
        if self.known_view is not None:
            return self.known_view
        return self.classifier.preprocess.view(Image.fromarray(self.image.pixels))

    @cached_property
    def canvas(self) -> Canvas:
        """What deletion and insertion show of the image, on the device of the model."""
        return Canvas.of(self.view, self.batch.device)

    @cached_property
    def shown(self) -> NDArray[np.uint8]:
        """The view, or the prepared tensor drawn as an image if the view cannot be derived, uint8 (H, W, 3)."""
        from xai_eval.inputs.models.derived.derived_preprocessing import shown

        return shown(self.classifier.preprocess, Image.fromarray(self.image.pixels))

    @cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """The mask of the object on the view, (H, W); None if it is unknown or was cropped away."""
        if self.image.mask is None:
            return None
        mask = self.classifier.preprocess.mask(self.image.mask)
        return mask if mask.any() else None

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Probabilities of the classes, (C,); of a regression, its values."""
        return self.classifier.reading.shown_of(self.seen.logits)

    def class_name(self, index: int) -> str:
        """Return the name of a class with its index, because several classes may have one name."""
        return str(Label(self.classifier.class_names[index], index))

    @property
    def fields(self) -> dict[str, Field]:
        """Fields of a Result: the classes, the audit, the top five, the image, mask and remarks where there are any."""
        best = np.argsort(-self.probabilities, kind="stable")[:5]
        values = tuple(float(self.probabilities[i]) for i in best)
        classes = tuple(self.class_name(int(i)) for i in best)
        known: dict[str, Field] = {} if self.mask is None else {"mask": Mask(self.mask)}
        if self.region is not None:
            known["region"] = Mask(self._region_on_input(self.region))
        if self.box is not None:
            known |= box_fields(self.box, self.target.explained, (self.batch.shape[2], self.batch.shape[3]))
        if self.examination.remarks:
            known["remarks"] = Note(" ".join(self.examination.remarks))
        return {
            **replace(self.target, caution=self.caution).fields,
            "top5": Ranking(classes, values, PROBABILITY_TOLERANCE),
            "model": Document(dict(self.examination.findings), _SENTENCES, facts=self.examination.facts),
            "image": InputImage(self.shown),
            **known,
        }

    @property
    def caution(self) -> str | None:
        """Say in a sentence why the maps may mean nothing; None if nothing is known."""
        import torch

        found = self.classifier.reading.caution(self.seen.logits, self.target.index)
        if found is not None or self.box is None:
            return found
        with torch.no_grad():
            hidden = not bool(self.model(self.batch)[0, self.target.index])
        return (
            "a box of another class lies over this one, so pytorch-grad-cam gives it no score: its maps are empty"
            if hidden
            else None
        )

    def _region_on_input(self, region: torch.Tensor) -> NDArray[np.bool_]:
        from xai_eval.inputs.models.region import on_input

        found: NDArray[np.bool_] = on_input(region, (self.batch.shape[2], self.batch.shape[3])).cpu().numpy()
        return found

    @property
    def stages(self) -> dict[Stage, Fingerprint]:
        """Fingerprints from the image to the explained class.

        The state of the model is fingerprinted when this property is read, so that it shows what an explainer changed.
        """
        seen, references = self.seen.activations, self.classifier.reading.references
        return {
            Stage(StageKind.IMAGE_BYTES): fingerprint_text(self.image.digest),
            Stage(StageKind.DECODED_PIXELS): self.image.fingerprint,
            Stage(StageKind.INPUT_TENSOR): _fingerprint_of(self.batch.float()),
            Stage(StageKind.VIEW): fingerprint_array(self.shown),
            **({} if self.mask is None else {Stage(StageKind.OBJECT_MASK): fingerprint_array(self.mask)}),
            **model_stages(self.classifier),
            **({} if references is None else {Stage(StageKind.REFERENCES): _fingerprint_of(references.float())}),
            **({} if seen is None else {Stage(StageKind.LAYER_ACTIVATIONS): fingerprint_array(seen)}),
            Stage(StageKind.LOGITS): fingerprint_array(self.seen.logits),
            Stage(StageKind.PROBABILITIES): fingerprint_array(self.probabilities),
            Stage(StageKind.TARGET): fingerprint_text(str(self.target.explained)),
            **self._place,
        }

    @property
    def stages_with_views(self) -> dict[Stage, Fingerprint]:
        """The same stages, and what the model gets of the view where a task alters it: that is prepared otherwise."""
        import torch

        prepared = self.classifier.preprocess.from_view(torch.from_numpy(self.view.copy())[None].to(self.batch.device))
        return {**self.stages, Stage(StageKind.INPUT_TENSOR, "views"): _fingerprint_of(prepared.float())}

    @property
    def _place(self) -> dict[Stage, Fingerprint]:
        """Fingerprint of the region or box that is explained; empty for models that give a class no place."""
        found = self.region if self.box is None else self.box.corners
        return {} if found is None else {Stage(StageKind.REGION): _fingerprint_of(found)}


def _fingerprint_of(tensor: torch.Tensor) -> Fingerprint:
    return fingerprint_array(tensor.detach().cpu().numpy())


def run_model(
    classifier: Classifier,
    image: LabelledImage,
    layer: str | None,
    target: str,
    examination: Examination,
    view: NDArray[np.uint8] | None = None,
) -> Subject:
    """Run the model on an image and find out which class is explained. `check_target` must have accepted the target.

    Raises:
        ModelMisbehaves: the model raises an error, or does not return a batch of logits.
        UsageError: the layer is not reached, or does not return a map.
    """
    batch = input_batch(classifier, image.pixels)
    seen = forward(classifier, layer, batch, examination.layout)
    resolved = resolve_target(classifier, image, classifier.predicted(seen.logits), target)
    return Subject(classifier, image, batch, seen, resolved, layer, examination, view)


def cam_stages(method: str, maps: CamMaps) -> dict[Stage, Fingerprint]:
    """Fingerprint what comes before the final map of one method: the map as it is computed, and at the layer."""
    return {
        Stage(StageKind.RAW_MAP, method): fingerprint_array(maps.raw, maps.amplification),
        Stage(StageKind.LAYER_MAP, method): fingerprint_array(maps.layer, maps.amplification),
    }


def cam_maps(subject: Subject, method: str = "gradcam", seed: int = 0) -> CamMaps:
    """Explain the class of a subject at its layer by one class activation method.

    Raises:
        ModelMisbehaves: the model raises an error when the library calls it, or no gradient reaches the layer.
    """
    from xai_eval.explainers.cam.cam_maps import explain_by_cam
    from xai_eval.inputs.models.model_errors import as_model_error

    classifier = subject.classifier
    assert subject.layer is not None
    with as_model_error(classifier.name, subject.batch.shape, method), part(method):
        explained = classifier.layer(subject.layer)
        classes, layout = [subject.target.index], subject.examination.layout
        return explain_by_cam(subject.model, explained, subject.batch, classes, method, seed=seed, layout=layout)
