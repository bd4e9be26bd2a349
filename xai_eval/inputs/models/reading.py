"""How the output of a model is read: which entry of it, what its numbers are, and what is explained.

A model may return logits, probabilities, one logit, several labels, values, a map per class, features, boxes, inside a
tensor, a mapping or a tuple. `Reading` turns all of them into scores, (N, C), one per class, of which one is explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from xai_eval.errors import unknown_name
from xai_eval.inputs.models.detections import class_scores
from xai_eval.inputs.models.output_entries import at_entry, in_rows


class OutputKind(StrEnum):
    """What the numbers are that a model returns for an image."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    BINARY = "binary"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    SEGMENTATION = "segmentation"
    EMBEDDING = "embedding"
    DETECTION = "detection"


MEANINGS: Mapping[OutputKind, str] = {
    OutputKind.LOGITS: "logits of classes that exclude each other (softmax gives probabilities)",
    OutputKind.PROBABILITIES: "probabilities of classes that exclude each other",
    OutputKind.BINARY: "one number for two classes (sigmoid gives the probability of the second)",
    OutputKind.MULTILABEL: "several labels, each of which is there or not (sigmoid gives probabilities)",
    OutputKind.REGRESSION: "values",
    OutputKind.SEGMENTATION: "a map per class (softmax at each place; shown is the share of the image)",
    OutputKind.EMBEDDING: "features of the image (shown is their cosine similarity to those of each reference)",
    OutputKind.DETECTION: "boxes, each with a class and a score (shown is the best score of each class)",
}
_PROBABLE_MAPS = "a map of probabilities per class (shown is the share of the image)"
# In single precision, the sum of thousands of probabilities can differ from 1 by up to this much.
ROUNDING = 1e-3
_EXCLUSIVE = (OutputKind.LOGITS, OutputKind.PROBABILITIES, OutputKind.BINARY, OutputKind.SEGMENTATION)
# Cosines from here on cannot be told from 1 in single precision, and neither can their gradients from rounding.
_ITSELF = 1 - 1e-6
_AT_REFERENCE = (
    "the image is like the reference itself (similarity 1), where every change lowers the similarity and its gradients "
    "are 0: only maps by methods without gradients mean something (scorecam, lime, occlusion)"
)
_NO_BOX = "no box of this class is found, so there is nothing to explain: the maps say nothing about it"
_NO_BOX_THERE = (
    "the found box that overlaps the given box most has another class, or overlaps it by less than half, so there is "
    "nothing to explain: the maps say nothing about it"
)


@dataclass(frozen=True)
class Reading:
    """How the output of one model is read.

    Attributes:
        kind: what its numbers are.
        outputs: how many numbers it returns for an image.
        entry: keys and positions at which the numbers are found in the output; empty if the output is the tensor.
        squashed: whether numbers of kind `BINARY`, `MULTILABEL` and `SEGMENTATION` are probabilities already.
        why: how the kind is known, as text for reports, which any release may word otherwise.
        numbers: what sets the numbers apart from others of their kind, such as `log-probabilities`; empty if nothing.
        beside: what else the model returns that may be the answer as well: how many rows of how many numbers.
        references: features of the references that an embedding is compared with, (K, outputs); None for other kinds.
        box: corners (x0, y0, x1, y1) of the box that a detector is asked about, in pixels of its input; None for all.
    """

    kind: OutputKind
    outputs: int
    entry: tuple[str | int, ...] = ()
    squashed: bool = False
    why: str = "given"
    numbers: str = ""
    beside: str = ""
    references: Tensor | None = field(default=None, compare=False, repr=False)
    box: tuple[float, float, float, float] | None = None

    @property
    def classes(self) -> int:
        """Number of classes, C: a model with a single logit or map has two, an embedding has one per reference."""
        if self.references is not None:
            return len(self.references)
        single = self.outputs == 1 and self.kind is OutputKind.SEGMENTATION
        return 2 if single or self.kind is OutputKind.BINARY else self.outputs

    @property
    def exclusive(self) -> bool:
        """Whether the numbers that are shown are probabilities that sum to 1."""
        return self.kind in _EXCLUSIVE

    @property
    def has_prediction(self) -> bool:
        """Whether the largest score is the model's answer. Of several values it is not."""
        return self.kind is not OutputKind.REGRESSION or self.outputs == 1

    def scores(self, output: Any) -> Tensor:
        """Return what is explained, (N, C), from the output for N images, with gradients if it has any.

        One logit z becomes -z and z, as `BinaryClassifierOutputTarget` of pytorch-grad-cam takes it; a probability p
        becomes 1 - p and p. A map per class becomes the share of the image that the class has. Features become their
        cosine similarity to those of each reference, and boxes the best score of each class. All other numbers stay
        what they are.
        """
        if self.kind is OutputKind.DETECTION:
            return class_scores(output, self.outputs, self.box)
        if self.kind is OutputKind.SEGMENTATION:
            maps = self.maps(output)
            return (maps if self.squashed else maps.softmax(dim=1)).mean(dim=(2, 3))
        numbers = self.rows(output)
        if self.references is not None:
            return cosine_similarity(numbers[:, None], self.references.to(numbers)[None], dim=2)
        if self.kind is not OutputKind.BINARY or numbers.shape[1] != 1:
            return numbers
        return torch.cat([1 - numbers, numbers] if self.squashed else [-numbers, numbers], dim=1)

    def maps(self, output: Any) -> Tensor:
        """Return the maps (N, C, h, w) in the output of a segmentation. A single map z becomes -z / 2 and z / 2.

        So softmax over two classes gives what sigmoid gives for the single map. A map p of probabilities becomes 1 - p
        and p.
        """
        numbers = self._numbers(output)
        if self.outputs > 1:
            return numbers
        return torch.cat([1 - numbers, numbers] if self.squashed else [-numbers / 2, numbers / 2], dim=1)

    def rows(self, output: Any) -> Tensor:
        """Return the numbers of a model as they are, (N, outputs)."""
        return in_rows(self._numbers(output))

    def _numbers(self, output: Any) -> Tensor:
        numbers = at_entry(output, self.entry)
        return numbers.float() if numbers.dtype in (torch.float16, torch.bfloat16) else numbers

    def shown(self, scores: Tensor) -> Tensor:
        """Return the numbers that people read, from scores (N, C): probabilities, or values for a regression."""
        if self.kind is OutputKind.LOGITS:
            return scores.softmax(dim=1)
        if self.kind in (OutputKind.BINARY, OutputKind.MULTILABEL) and not self.squashed:
            return scores.sigmoid()
        return scores

    def shown_of(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the numbers that people read, from the scores (C,) of one image, in double precision."""
        if self.kind is OutputKind.LOGITS:
            exponentials = np.exp(scores.astype(np.float64) - float(scores.max()))
            return np.asarray(exponentials / exponentials.sum())
        shown: NDArray[np.float64] = self.shown(torch.from_numpy(scores.astype(np.float64))[None])[0].numpy()
        return shown

    def caution(self, scores: NDArray[np.float32], index: int) -> str | None:
        """Say why a map of the score `index` of scores (C,) may mean nothing; None if nothing is known."""
        if self.kind is OutputKind.EMBEDDING and scores[index] >= _ITSELF:
            return _AT_REFERENCE
        if self.kind is OutputKind.DETECTION and scores[index] <= 0:
            return _NO_BOX if self.box is None else _NO_BOX_THERE
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """What goldens compare of the reading, as JSON values: no sentence, so that it may be described otherwise."""
        return {
            "kind": str(self.kind),
            "entry": ".".join(map(str, self.entry)),
            "probabilities": self.squashed,
            "numbers": self.numbers,
            "beside": self.beside,
        }

    def __str__(self) -> str:
        """Describe the reading in words."""
        place = f"entry {'.'.join(map(str, self.entry))} of the output; " if self.entry else ""
        probable = self.squashed and self.kind is OutputKind.SEGMENTATION
        return f"{place}{_PROBABLE_MAPS if probable else MEANINGS[self.kind]}; {self.why}"


class Scoring(nn.Module):
    """A model whose output is read: takes images (N, channels, H, W) and returns scores (N, C).

    Args:
        module: the model.
        reading: how its output is read.
        dtype: type of the model's numbers, to which images are converted.
        copies: whether each batch is copied first, because the model writes into its input.
        contiguous: whether each batch is made contiguous first, because the model takes no other.
    """

    def __init__(
        self, module: nn.Module, reading: Reading, dtype: torch.dtype, copies: bool, contiguous: bool = False
    ) -> None:
        super().__init__()
        self.module = module
        self._reading, self._dtype, self._copies, self.contiguous = reading, dtype, copies, contiguous

    def forward(self, batch: Tensor) -> Tensor:
        """Return the scores of a batch."""
        return self._reading.scores(self.output(batch))

    def output(self, batch: Tensor) -> Any:
        """Return what the model itself returns for a batch."""
        images = batch.to(self._dtype)
        images = images.contiguous() if self.contiguous else images
        return self.module(images.clone() if self._copies else images)


def needs_contiguous(module: nn.Module) -> bool:
    """Whether a model gets contiguous batches, whatever their memory format is."""
    return any(isinstance(part, Scoring) and part.contiguous for part in module.modules())


class Maps(nn.Module):
    """A segmentation whose output is read: takes images (N, channels, H, W) and returns maps (N, C, h, w).

    Args:
        scoring: the model, as it is read.
        reading: how its output is read.
    """

    def __init__(self, scoring: Scoring, reading: Reading) -> None:
        super().__init__()
        self.scoring = scoring
        self._reading = reading

    def forward(self, batch: Tensor) -> Tensor:
        """Return the maps of a batch."""
        return self._reading.maps(self.scoring.output(batch))


class Boxes(nn.Module):
    """A detector: takes images (N, channels, H, W) and returns, per image, its boxes, labels and scores.

    Args:
        scoring: the model, as it is read.
    """

    def __init__(self, scoring: Scoring) -> None:
        super().__init__()
        self.scoring = scoring

    def forward(self, batch: Tensor) -> Any:
        """Return the boxes of a batch."""
        return self.scoring.output(batch)


def output_kind(name: str) -> OutputKind:
    """Return the kind called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in tuple(OutputKind):
        raise unknown_name("kind of output", name, [kind.value for kind in OutputKind], hint="It is given as --output.")
    return OutputKind(name)
