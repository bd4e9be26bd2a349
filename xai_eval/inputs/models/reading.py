"""How the output of a model is read: which entry of it, what its numbers are, and what is explained.

A model may return logits, probabilities, one logit, several labels, values, a map per class, features, boxes, inside a
tensor, a mapping or a tuple. `Reading` turns all of them into scores, (N, C), one per class, of which one is explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from xai_eval.errors import ModelMisbehaves, UsageError, unknown_name
from xai_eval.inputs.models.detections import are_boxes, check_boxes, class_scores


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
_NAMES_OF_LOGITS = ("logits", "out", "output", "scores", "predictions", "pred")
_NAMES_OF_FEATURES = ("image_embeds", "pooler_output", "embedding", "embeddings", "features", "image_features")
_EXCLUSIVE = (OutputKind.LOGITS, OutputKind.PROBABILITIES, OutputKind.BINARY, OutputKind.SEGMENTATION)
# Cosines from here on cannot be told from 1 in single precision, and neither can their gradients from rounding.
_ITSELF = 1 - 1e-6
FEATURES_REMEDY = (
    "To explain its features themselves, say what they are compared with: --output embedding --similar-to IMAGE."
)
_AT_REFERENCE = (
    "the image is like the reference itself (similarity 1), where every change lowers the similarity and its gradients "
    "are 0: only maps by methods without gradients mean something (scorecam, lime, occlusion)"
)
_NO_BOX = "no box of this class is found, so there is nothing to explain: the maps say nothing about it"
_NO_BOX_THERE = (
    "the found box that overlaps the given box most has another class, or overlaps it by less than half, so there is "
    "nothing to explain: the maps say nothing about it"
)
_MOST_AXES = 2
_DOUBTFUL = (
    "assumed, although all its numbers for two images of noise lie between 0 and 1. If they are probabilities of "
    "labels, let the model end in torch.sigmoid, which is recognised; if they are logits, say --output logits"
)
# Steps, by the names of their gradients, that leave probabilities what they are.
_SHAPING = (
    "View",
    "UnsafeView",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "ToCopy",
    "Clone",
    "Alias",
    "Clamp",
    "Select",
    "Slice",
)


@dataclass(frozen=True)
class Reading:
    """How the output of one model is read.

    Attributes:
        kind: what its numbers are.
        outputs: how many numbers it returns for an image.
        entry: keys and positions at which the numbers are found in the output; empty if the output is the tensor.
        squashed: whether numbers of kind `BINARY`, `MULTILABEL` and `SEGMENTATION` are probabilities already.
        why: how the kind is known, as text for reports.
        references: features of the references that an embedding is compared with, (K, outputs); None for other kinds.
        box: corners (x0, y0, x1, y1) of the box that a detector is asked about, in pixels of its input; None for all.
    """

    kind: OutputKind
    outputs: int
    entry: tuple[str | int, ...] = ()
    squashed: bool = False
    why: str = "given"
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
    """

    def __init__(self, module: nn.Module, reading: Reading, dtype: torch.dtype, copies: bool) -> None:
        super().__init__()
        self.module = module
        self._reading, self._dtype, self._copies = reading, dtype, copies

    def forward(self, batch: Tensor) -> Tensor:
        """Return the scores of a batch."""
        return self._reading.scores(self.output(batch))

    def output(self, batch: Tensor) -> Any:
        """Return what the model itself returns for a batch."""
        images = batch.to(self._dtype)
        return self.module(images.clone() if self._copies else images)


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


def found_reading(output: Any, again: Any, kind: OutputKind | None, names: int | None, model: str) -> Reading:
    """Find out how the output of a model is read.

    Args:
        output: what the model returns for one image, if possible with its graph of gradients.
        again: what it returns for one other image.
        kind: kind of output that the user gave; None to find out.
        names: number of names of classes that come with the model; None if it has none.
        model: name of the model, for errors.

    Raises:
        ModelMisbehaves: the output holds no row of numbers that can be explained.
        UsageError: the model returns a single number, and nothing says what it is; or the given kind does not fit.
    """
    if kind is OutputKind.EMBEDDING:
        return _embedding(output, model)
    if isinstance(output, Mapping) and "pred_boxes" in output:
        raise ModelMisbehaves(
            f"{model} returns boxes as transformers does, {_told(output)} with pred_boxes; expected them as "
            "torchvision returns them. Wrap the model as docs/how-to/other-outputs.md shows (Detectors of "
            "transformers)."
        )
    if are_boxes(output) or kind is OutputKind.DETECTION:
        return _detection(output, kind, names, model)
    entry = entry_of_numbers(output, model)
    first, second = (in_rows(at_entry(each, entry)) for each in (output, again))
    if _is_map_per_class(first) and kind in (None, OutputKind.SEGMENTATION):
        if kind is None:
            _check_alone(output, entry, model)
        return _segmentation(first, second, entry, model)
    if kind is OutputKind.SEGMENTATION:
        raise UsageError(f"{model} returned {_told(output)}; --output segmentation is for maps (1, C, h, w).")
    count = _checked(first, output, model).shape[1]
    if kind is None:
        found = replace(_detected(first, second, names, model), entry=entry)
        others = _other_widths(output, entry, count)
        return replace(found, why=_first_of(others, count)) if others and found.kind is OutputKind.LOGITS else found
    if kind is OutputKind.BINARY and count > 1:
        raise UsageError(f"{model} returns {count} numbers; --output binary is for a single one. Give another kind.")
    if kind in (OutputKind.LOGITS, OutputKind.PROBABILITIES) and count == 1:
        raise UsageError(
            f"{model} returns a single number, of which --output {kind} would always make the probability 1. Give "
            "--output binary or --output regression."
        )
    within = all(map(_between_0_and_1, (first, second)))
    return Reading(kind, count, entry, squashed=within and _ends_in(first, "Sigmoid"))


def _beside(output: Any, entry: tuple[str | int, ...]) -> list[Tensor]:
    """Return the other tensors of the tuple or list whose first one was taken for the numbers."""
    if not entry or entry[-1] != 0:
        return []
    return [in_rows(each) for each in at_entry(output, entry[:-1])[1:] if isinstance(each, Tensor)]


def _check_alone(output: Any, entry: tuple[str | int, ...], model: str) -> None:
    """Refuse maps with a row of numbers behind them: classes of places and labels, or features and classes."""
    rows = [each for each in _beside(output, entry) if each.dim() == _MOST_AXES and len(each) == 1]
    if rows:
        raise UsageError(
            f"{model} returned {_told(output)}: first maps {tuple(at_entry(output, entry).shape)}, then a row of "
            f"numbers {tuple(rows[0].shape)}. It cannot be told which of them are the classes. If the maps are, give "
            "--output segmentation; if the row is, wrap the model in a module that returns it alone."
        )


def _other_widths(output: Any, entry: tuple[str | int, ...], count: int) -> list[int]:
    rows = [each for each in _beside(output, entry) if each.dim() == _MOST_AXES and len(each) == 1]
    return [each.shape[1] for each in rows if each.shape[1] != count]


def _first_of(others: list[int], count: int) -> str:
    return (
        f"assumed, because it is the first: it has {count} numbers, another entry has {others[0]}. If that one has the "
        "classes, wrap the model in a module that returns it alone"
    )


def _segmentation(first: Tensor, second: Tensor, entry: tuple[str | int, ...], model: str) -> Reading:
    """Read maps (1, C, h, w), which are logits or probabilities of classes that exclude each other."""
    count, why = first.shape[1], "found: it has an axis for rows and columns"
    if count > 1 and all(map(sum_to_one, (_places(first), _places(second)))):
        why = "found: it has an axis for rows and columns, and is never negative and sums to 1 at each place"
        return Reading(OutputKind.SEGMENTATION, count, entry, squashed=True, why=why)
    if _ends_in(first, "Sigmoid") and all(map(_between_0_and_1, (first, second))):
        if count == 1:
            return Reading(OutputKind.SEGMENTATION, 1, entry, squashed=True, why=f"{why}; its last step is a sigmoid")
        raise UsageError(
            f"{model} returns maps that end in a sigmoid, {tuple(first.shape)}; expected logits of classes that "
            "exclude each other at each place, or their probabilities. Wrap the model in a module that returns the "
            "maps from before the sigmoid."
        )
    return Reading(OutputKind.SEGMENTATION, count, entry, why=why)


def check_proportions(maps: Tensor, size: tuple[int, int], model: str) -> None:
    """Refuse maps (1, h, w, C): read as (1, C, h, w), they would be maps of other places for other classes.

    Args:
        maps: the maps, as they are read.
        size: height and width of the image.
        model: name of the model, for the error.

    Raises:
        UsageError: the first two axes have the proportions of the image, but for a place, and the last two have not.
    """
    _, first, second, third = maps.shape
    if _has_proportions((first, second), size) and not _has_proportions((second, third), size):
        raise UsageError(
            f"{model} returned maps of shape {tuple(maps.shape)}, which look like (1, h, w, C); expected (1, C, h, w). "
            "Wrap the model in a module that moves the classes to the front: output.movedim(-1, 1)."
        )


def _has_proportions(places: tuple[int, int], size: tuple[int, int]) -> bool:
    (rows, columns), (height, width) = places, size
    return abs(rows * width - columns * height) <= max(height, width)


def _places(maps: Tensor) -> Tensor:
    """Return maps (1, C, h, w) as one row per place, (h * w, C)."""
    return maps[0].flatten(1).T


def _embedding(output: Any, model: str) -> Reading:
    entry = entry_of_numbers(output, model, _NAMES_OF_FEATURES)
    features = in_rows(at_entry(output, entry))
    if not features.is_floating_point() or features.dim() != _MOST_AXES or len(features) != 1:
        raise ModelMisbehaves(
            f"{model} returned {_told(output)} for one image; expected one row of features, (1, D), for --output "
            "embedding. Wrap the model in a module that makes one row of them, such as the mean over the places."
        )
    if features.shape[1] == 1:
        raise UsageError(
            f"{model} returns a single number, whose cosine similarity is always 1 or -1; --output embedding is for "
            "several features. Give --output binary or --output regression."
        )
    return Reading(OutputKind.EMBEDDING, features.shape[1], entry)


def _detection(output: Any, kind: OutputKind | None, names: int | None, model: str) -> Reading:
    if kind not in (None, OutputKind.DETECTION):
        raise UsageError(f"{model} returns boxes, which are not read as {kind}. Leave out --output {kind}.")
    if not are_boxes(output):
        raise UsageError(
            f"{model} returned {_told(output)}; --output detection is for a list with a mapping per image: boxes (n, "
            "4), labels (n,) and scores (n,), as torchvision's detectors return it. Wrap the model in a module that "
            "returns them."
        )
    if names is None:
        raise UsageError(
            f"{model} returns boxes with labels, and nothing says how many classes there are. Name them in the "
            "module's attribute class_names, in the order of the labels."
        )
    check_boxes(output)
    return Reading(OutputKind.DETECTION, names, why="found: it returns boxes" if kind is None else "given")


def _between_0_and_1(numbers: Tensor) -> bool:
    return bool(((numbers >= 0) & (numbers <= 1)).all())


def _is_map_per_class(numbers: Tensor) -> bool:
    return numbers.dim() == 4 and len(numbers) == 1 and numbers.shape[1] > 0 and numbers.is_floating_point()


def _detected(first: Tensor, second: Tensor, names: int | None, model: str) -> Reading:
    count = first.shape[1]
    if count == 1:
        return _single(first, names, model)
    if all(map(sum_to_one, (first, second))):
        return Reading(OutputKind.PROBABILITIES, count, why="found: they are never negative and sum to 1")
    if _ends_in(first, "Sigmoid"):
        return Reading(OutputKind.MULTILABEL, count, squashed=True, why="found: the last step is a sigmoid")
    if all(map(_between_0_and_1, (first, second))):
        return Reading(OutputKind.LOGITS, count, why=_DOUBTFUL)
    if _ends_in(first, "LogSigmoid"):
        raise UsageError(
            f"{model} ends in a log-sigmoid; expected logits or probabilities of labels. Wrap the model in a module "
            "that returns the logits, and give --output multilabel."
        )
    return Reading(OutputKind.LOGITS, count, why="assumed (--output says otherwise)")


def _single(first: Tensor, names: int | None, model: str) -> Reading:
    squashed = _ends_in(first, "Sigmoid")
    if names == 2 or squashed:  # two classes, one logit
        why = "found: the last step is a sigmoid" if squashed else "assumed, because two classes are named"
        return Reading(OutputKind.BINARY, 1, squashed=squashed, why=why)
    raise UsageError(
        f"{model} returns a single number for an image, which may be the logit of a class or a value. Say which: "
        "--output binary, or --output regression."
    )


def sum_to_one(rows: Tensor) -> bool:
    """Whether every row, (N, C), is a probability distribution."""
    within = bool((rows >= 0).all()) and bool((rows <= 1 + ROUNDING).all())
    return within and bool(((rows.float().sum(dim=1) - 1).abs() < ROUNDING).all())


def _ends_in(numbers: Tensor, function: str) -> bool:
    """Whether the last step of the computation of `numbers` is a function, by PyTorch's name of its gradient."""
    node: Any = numbers.grad_fn
    while node is not None and node.name().startswith(_SHAPING):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith(function)


def in_rows(numbers: Tensor) -> Tensor:
    """Return numbers for N images as rows: (N,) becomes (N, 1), and (N, C, 1, 1) becomes (N, C)."""
    if numbers.dim() == 1:
        return numbers[:, None]
    if numbers.dim() > _MOST_AXES and numbers.shape[2:].numel() == 1:
        return numbers.flatten(1)
    return numbers


def _checked(numbers: Tensor, output: Any, model: str) -> Tensor:
    if not numbers.is_floating_point():
        raise ModelMisbehaves(
            f"{model} returned a tensor of {numbers.dtype}; expected floating-point numbers. Return what the last "
            "layer computes, not the class."
        )
    if numbers.dim() != _MOST_AXES or len(numbers) != 1 or numbers.shape[1] == 0:
        raise ModelMisbehaves(
            f"{model} returned {_told(output)} for one image; expected one row of numbers, (1, C), one per class, or a "
            "map per class, (1, C, h, w). Wrap the model in a module that returns one score per class."
        )
    return numbers


def entry_of_numbers(output: Any, model: str, usual: tuple[str, ...] = _NAMES_OF_LOGITS) -> tuple[str | int, ...]:
    """Return the keys and positions at which the numbers stand in an output.

    Of a mapping, that is the entry with a usual name such as `logits`, or its only tensor; of a tuple, the first entry.

    Raises:
        ModelMisbehaves: there is no tensor, or it cannot be told which one is meant.
    """
    if isinstance(output, Tensor):
        return ()
    if isinstance(output, Mapping):
        return _entry_of_mapping(output, model, usual)
    named = [name for name in usual if isinstance(getattr(output, name, None), Tensor)]
    if named:
        return (named[0],)
    if isinstance(output, tuple | list) and output:
        return (0, *entry_of_numbers(output[0], model, usual))
    raise ModelMisbehaves(
        f"{model} returned {_told(output)}; expected a tensor (1, C) of numbers, one per class, or a mapping or tuple "
        f"with one. Wrap the model in a module that returns one score per class."
    )


def _entry_of_mapping(output: Mapping[Any, Any], model: str, usual: tuple[str, ...]) -> tuple[str | int, ...]:
    tensors = [key for key, value in output.items() if isinstance(value, Tensor)]
    named = [name for name in usual if name in tensors]
    if named or len(tensors) == 1:
        return (named[0] if named else tensors[0],)
    raise ModelMisbehaves(
        f"{model} returned a {type(output).__name__} with the entries {', '.join(map(str, output))}; expected one "
        f"called {usual[0]}, or a single tensor. Wrap the model in a module that returns one score per class, or "
        f"give it a head if it has no classes. {FEATURES_REMEDY}"
    )


def at_entry(output: Any, entry: tuple[str | int, ...]) -> Tensor:
    """Return what stands at an entry of an output."""
    for key in entry:
        output = getattr(output, key) if isinstance(key, str) and not isinstance(output, Mapping) else output[key]
    tensor: Tensor = output
    return tensor


def _told(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, tuple | list) and output:
        return f"a {type(output).__name__} of {len(output)} {type(output[0]).__name__}"
    return f"a {type(output).__name__}"
