"""Read one batch of images: decode each once, and prepare it for every model of the plan and for CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from xai_eval.errors import InputUnavailable, ModelMisbehaves
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.image_summary import ImageSummary, summarise
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.preprocessing import Preprocessing
from xai_eval.inputs.probes.probe_set import ProbeImage, ProbeSet


@dataclass(frozen=True)
class Skipped:
    """An image that cannot be used.

    Attributes:
        name: name of the image.
        reason: the text of the error that reading it raised.
    """

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch: n images that could be read.

    Attributes:
        positions: their positions in the probe set.
        skipped: the images that could not be read.
        inputs: one tensor (n, 3, H, W) for each of `DissectionPlan.preparations`.
        clip_input: the tensor (n, 3, H, W) for CLIP, or None without CLIP.
        summaries: one `ImageSummary` per preparation and image.
    """

    positions: tuple[int, ...]
    skipped: tuple[Skipped, ...]
    inputs: tuple[torch.Tensor, ...]
    clip_input: torch.Tensor | None
    summaries: tuple[tuple[ImageSummary, ...], ...]

    def kept(self, keep: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """Return the same with its tensors copied by `keep` to where they stay."""
        clip_input = None if self.clip_input is None else keep(self.clip_input)
        return replace(self, inputs=tuple(map(keep, self.inputs)), clip_input=clip_input)


def read_batch(plan: DissectionPlan, positions: Sequence[int]) -> Batch:
    """Decode the images at `positions` and prepare them. Images that cannot be read are listed in `skipped`.

    Raises:
        ModelMisbehaves: the preprocessing of a model raises, or gives tensors of different shapes.
    """
    read, skipped = _read(plan.probe, positions)
    drawn = [(image, Image.fromarray(image.pixels)) for image in read.values()]
    inputs = tuple(_prepared(each, drawn) for each in plan.preparations)
    return Batch(
        positions=tuple(read),
        skipped=skipped,
        inputs=inputs,
        clip_input=_for_clip(plan, drawn),
        summaries=tuple(
            tuple(summarise(each, *pair, tensor) for pair, tensor in zip(drawn, tensors, strict=True))
            for each, tensors in zip(plan.preparations, inputs, strict=True)
        ),
    )


def _for_clip(plan: DissectionPlan, drawn: Sequence[tuple[ProbeImage, Image.Image]]) -> torch.Tensor | None:
    if plan.clip is None or not drawn:
        return None
    return torch.stack([plan.clip.preprocess(image) for _, image in drawn])


def _read(probe: ProbeSet, positions: Sequence[int]) -> tuple[dict[int, ProbeImage], tuple[Skipped, ...]]:
    read: dict[int, ProbeImage] = {}
    skipped = []
    for position in positions:
        try:
            read[position] = probe.read(position)
        except InputUnavailable as error:
            skipped.append(Skipped(probe.names[position], str(error)))
    return read, tuple(skipped)


def _prepared(preprocess: Preprocessing, drawn: Sequence[tuple[ProbeImage, Image.Image]]) -> torch.Tensor:
    prepared = []
    for image, pixels in drawn:
        with as_model_error(f"the preprocessing of {image.name}", image.pixels.shape):
            prepared.append(preprocess(pixels))
    if len({each.shape for each in prepared}) > 1:
        shapes = ", ".join(str(tuple(shape)) for shape in {each.shape for each in prepared})
        raise ModelMisbehaves(
            f"the preprocessing gives tensors of several shapes ({shapes}); expected one, because images go through "
            "the model in batches. Let the preprocessing resize and crop every image to one size."
        )
    return torch.stack(prepared) if prepared else torch.empty(0, device="cpu")
