"""A plan that takes a second: a few scenes, the bundled model, and a CLIP that sees mean colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F
from torchvision.transforms.functional import to_tensor

from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.probes.probes import load_probe


@dataclass(frozen=True)
class ColourClip:
    """Stands in for CLIP where its weights do not matter."""

    name: str = "colours"
    weights_digest: str = "0" * 64

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        return to_tensor(image.resize((8, 8)))

    def embed_images(self, batch: torch.Tensor) -> torch.Tensor:
        return F.normalize(batch.mean(dim=(2, 3)), dim=1)

    def describe(self) -> dict[str, Any]:
        return {"kind": "mean colours"}


def make_plan(
    count: int = 20, layers: tuple[str, ...] = ("layer3", "layer4", "avgpool", "fc"), **sizes: Any
) -> DissectionPlan:
    """Two models over `count` scenes in batches of 4 and shards of 2 batches."""
    model = load_model("scenes:objects")
    given = {"batch_size": 4, "batches_per_shard": 2, **sizes}
    return DissectionPlan(load_probe(f"scenes:{count}"), (DissectedModel(model, layers),), ColourClip(), **given)  # type: ignore[arg-type]
