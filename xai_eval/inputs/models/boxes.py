"""What is explained of a detector: the score of one box of one class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.detections import BoxScores, Found


@dataclass(frozen=True, eq=False)
class Box:
    """A box on an image.

    Attributes:
        corners: (x0, y0, x1, y1) in pixels of the model's input, (4,).
        score: score of the class in it; 0 if the box was given and the class is not found there.
    """

    corners: Tensor
    score: float

    def mask(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return the pixels whose centres lie in the box, bool (height, width)."""
        x0, y0, x1, y1 = self.corners.tolist()
        rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
        inside: NDArray[np.bool_] = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))
        return inside


def box_of(classifier: Classifier, batch: Tensor, target: int, score: float) -> Box | None:
    """Return the box that is explained: the given one, or the best box of a class on the image; None if it has none.

    Args:
        classifier: a detector.
        batch: the prepared image, (1, channels, H, W).
        target: index of the class.
        score: its score, as the detector is read.
    """
    if classifier.box is not None:
        return Box(torch.tensor(classifier.box, device=batch.device), score)
    with torch.no_grad():
        found: Found = classifier.detector(batch)
    labels, scores = found[0]["labels"], found[0]["scores"]
    if not bool((labels == target).any()):
        return None
    best = int(scores.masked_fill(labels != target, -torch.inf).argmax())
    return Box(found[0]["boxes"][best].detach().float(), score)


def box_scores(classifier: Classifier, box: Box) -> nn.Module:
    """Return the model that is explained for a box."""
    return BoxScores(classifier.detector, box.corners, classifier.reading.classes).eval()
