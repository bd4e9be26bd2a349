"""A dissection of a small network that never changes: what its units give for images, by the code that reads models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from xai_eval.explainers.dissection.batches import Batch
from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
from xai_eval.explainers.dissection.observations import LayerObservations
from xai_eval.explainers.dissection.observe_shard import observe_batches
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.probes.probe_set import Concept, ProbeImage, ProbeSet

# So many images at a time, the last time fewer.
_AT_ONCE = 3


@dataclass(frozen=True)
class _Unprepared:
    """A preparation that only says what the network takes: the images are given as tensors."""

    example: Tensor

    def __call__(self, image: Image.Image) -> Tensor:
        return torch.as_tensor(self.example * (1.0 + np.asarray(image, dtype=np.float64).mean()))

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((self.example.shape[2], self.example.shape[1])), dtype=np.uint8)

    def from_view(self, views: Tensor) -> Tensor:
        return views.permute(0, 3, 1, 2).double()

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return mask

    def describe(self) -> dict[str, Any]:
        return {"kind": "none"}


class _Unread:
    """Reads no image: nothing asks for one."""

    def read(self, position: int) -> ProbeImage:
        raise AssertionError(f"image {position} of a trial was asked for")


def observed(network: nn.Module, layers: tuple[str, ...], images: Tensor) -> tuple[LayerObservations, ...]:
    """Return what the units of some layers give for images, (n, 3, H, W), that are given in batches."""
    classifier = Classifier(
        "trial", network, _Unprepared(images[0]), class_names=("a", "b", "c"), output=OutputKind.LOGITS
    )
    names = tuple(map(str, range(len(images))))
    probe = ProbeSet("trial", names, _Unread(), (Concept("object", "object"),), digest="")
    plan = DissectionPlan(probe, (DissectedModel(classifier, layers),), clip=None, batch_size=_AT_ONCE)
    positions = torch.split(torch.arange(len(images)), _AT_ONCE)
    batches = [Batch(tuple(part.tolist()), (), (images[part],), None, ((),)) for part in positions]
    return observe_batches(plan, batches, ()).layers
