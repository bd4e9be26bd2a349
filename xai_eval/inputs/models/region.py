"""What is explained of a model that returns a map per class: the class inside the region that the model gives to it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from xai_eval.inputs.models.classifier import Classifier


class RegionScores(nn.Module):
    """A model that returns maps (N, C, h, w), reduced to one score per class, (N, C): the sum of its map over a region.

    For the class that the region belongs to, this is `SemanticSegmentationTarget` of pytorch-grad-cam. The region is
    that of the image itself, and stays the same when the image is altered.

    Args:
        maps: takes images and returns maps (N, C, h, w).
        region: the region, bool (h, w).
    """

    def __init__(self, maps: nn.Module, region: Tensor) -> None:
        super().__init__()
        self.maps = maps
        self.region = region

    def forward(self, batch: Tensor) -> Tensor:
        """Return the scores of a batch."""
        scores: Tensor = (self.maps(batch) * self.region).sum(dim=(2, 3))
        return scores


def region_of(classifier: Classifier, batch: Tensor, target: int) -> Tensor:
    """Return the places at which a class has the largest value, bool (h, w); all places if there is none.

    Args:
        classifier: a model that returns a map per class.
        batch: the prepared image, (1, channels, H, W).
        target: index of the class.
    """
    with torch.no_grad():
        region = classifier.maps(batch)[0].argmax(dim=0) == target
    return region if bool(region.any()) else torch.ones_like(region)


def region_scores(classifier: Classifier, region: Tensor) -> nn.Module:
    """Return the model that is explained inside a region."""
    return RegionScores(classifier.maps, region).eval()


def on_input(region: Tensor, shape: tuple[int, int]) -> Tensor:
    """Enlarge a region, bool (h, w), to the shape (H, W) of the input, by nearest neighbour."""
    return interpolate(region[None, None].float(), size=shape, mode="nearest")[0, 0] > 0
