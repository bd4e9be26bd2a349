"""Read the boxes that a detector finds: as scores of classes, and as the score of one box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights
from torchvision.ops import box_iou

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.attributes import attribute

# A box is the same box in an altered image if it overlaps by more than this (IoU), as in pytorch-grad-cam.
SAME_BOX = 0.5
# The names of the labels of detectors that were trained on COCO; the first is the background.
COCO: tuple[str, ...] = tuple(FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
_ENTRIES = ("boxes", "labels", "scores")
# Where the detectors of torchvision say how many classes they have, the background included.
_COUNTS = (
    ("cls_score", "out_features"),
    ("classification_head", "num_classes"),
    ("classification_head", "num_columns"),
)
Found = Sequence[Mapping[str, Tensor]]


def are_boxes(output: Any) -> bool:
    """Whether an output lists, per image, `boxes` (n, 4), `labels` (n,) and `scores` (n,), as torchvision's do."""
    listed = isinstance(output, tuple | list) and bool(output)
    return listed and all(isinstance(each, Mapping) and set(_ENTRIES) <= each.keys() for each in output)


def are_boxes_of_a_batch(output: Any) -> bool:
    """Whether an output is one mapping with the boxes of all images, (N, n, 4), and a score for each."""
    if not isinstance(output, Mapping) or not {"boxes", "scores"} <= output.keys():
        return False
    boxes, scores = output["boxes"], output["scores"]
    return isinstance(boxes, Tensor) and isinstance(scores, Tensor) and boxes.shape[:-1] == scores.shape


def check_boxes(found: Found) -> None:
    """Check what a detector finds in images of noise: its form, and that boxes are corners in pixels.

    Raises:
        ModelMisbehaves: they are not.
    """
    for each in found:
        _check_form(each)
        boxes = each["boxes"].detach()
        if not bool(torch.isfinite(boxes).all()):
            raise ModelMisbehaves(
                "the model found a box whose corners are NaN or infinite; expected pixels. Check its weights and its "
                "preprocessing."
            )
        if bool((boxes[:, 2:] < boxes[:, :2]).any()):
            raise ModelMisbehaves(
                "the model found a box whose second corner is left of the first one or above it; expected corners (x0, "
                "y0, x1, y1). torchvision.ops.box_convert makes them of centres and sizes."
            )
        if len(boxes) and bool((boxes <= 1).all()):
            raise ModelMisbehaves(
                "all boxes that the model found lie between 0 and 1, which are shares of the image; expected pixels of "
                "the image as the model gets it. Multiply them by its width and height."
            )


def classes_of(module: nn.Module) -> int | None:
    """Return the number of classes of a detector of torchvision, the background included; None if it does not say."""
    for part in module.modules():
        for name, counted in _COUNTS:
            count = attribute(attribute(part, name), counted)
            if isinstance(count, int):
                return count
    return None


def class_scores(found: Found, classes: int, near: Sequence[float] | None = None) -> Tensor:
    """Return the score of the best box of each class, (N, C), 0 for a class without a box.

    Args:
        found: the boxes of N images, with gradients if they have any.
        classes: number of classes, C.
        near: corners (x0, y0, x1, y1) of a box; only the one that overlaps it most counts, if it is the same box. All
            if None.

    Raises:
        ModelMisbehaves: a label is no class, or the boxes have another form.
    """
    return torch.stack([_best_of_each(each, classes, near) for each in found])


def _best_of_each(found: Mapping[str, Tensor], classes: int, near: Sequence[float] | None) -> Tensor:
    _check_form(found)
    scores, labels = found["scores"], found["labels"].long()
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ModelMisbehaves(
            f"the model found a box with the label {int(labels.max())}, but {classes} classes are named (labels 0 to "
            f"{classes - 1}). Name all of them in class_names; in torchvision's detectors label 0 is the background."
        )
    if near is not None:
        same = _same_box(scores.new_tensor(list(near)), found["boxes"].detach().to(scores))
        scores, labels = scores[same], labels[same]
    return scores.new_zeros(classes).scatter_reduce(0, labels, scores, "amax", include_self=True)


def _check_form(found: Mapping[str, Tensor]) -> None:
    """Raise ModelMisbehaves unless an answer has boxes (n, 4), labels (n,) and scores (n,)."""
    shapes = {name: tuple(each.shape) for name in _ENTRIES if isinstance(each := found[name], Tensor)}
    count = shapes.get("scores", ())[:1]
    if shapes != {"boxes": (*count, 4), "labels": count, "scores": count} or not count:
        told = ", ".join(f"{name} {shapes.get(name, type(found[name]).__name__)}" for name in _ENTRIES)
        raise ModelMisbehaves(
            f"the model returned {told}; expected tensors: boxes (n, 4), labels (n,), scores (n,). Wrap "
            "the model in a module that returns them so."
        )


def _same_box(box: Tensor, boxes: Tensor) -> Tensor:
    """Return the index, (1,), of the box that overlaps a box most; empty, (0,), if it is not the same box."""
    if not len(boxes):
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    overlaps = box_iou(box[None].to(boxes), boxes)[0]
    best = overlaps.argmax(dim=0, keepdim=True)
    same: Tensor = best[overlaps[best] > SAME_BOX]
    return same


class BoxScores(nn.Module):
    """A detector, reduced to one score per class, (N, C): that of one box, if it is found with that class.

    For the class of the box, this is `FasterRCNNBoxScoreTarget` of pytorch-grad-cam: of the found boxes, the one with
    the largest overlap counts, with its overlap (IoU) plus its score; 0 if the overlap is at most `SAME_BOX`.

    Args:
        detector: takes images and returns the boxes of each.
        box: corners (x0, y0, x1, y1) of the box, (4,).
        classes: number of classes, C.
    """

    def __init__(self, detector: nn.Module, box: Tensor, classes: int) -> None:
        super().__init__()
        self.detector = detector
        self.box, self._classes = box, classes

    def forward(self, batch: Tensor) -> Tensor:
        """Return the scores of a batch."""
        return torch.stack([self._scores(each) for each in self.detector(batch)])

    def _scores(self, found: Mapping[str, Tensor]) -> Tensor:
        boxes, scores = found["boxes"], found["scores"]
        # The sum of no scores connects the answer with the layers before it, also if there is no box.
        none = scores.new_zeros(self._classes) + scores[:0].sum()
        same = _same_box(self.box, boxes)
        overlaps = box_iou(self.box[None].to(boxes), boxes)[0]
        return none.index_add(0, found["labels"][same].long(), overlaps[same] + scores[same])
