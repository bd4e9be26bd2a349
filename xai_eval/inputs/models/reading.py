"""How the output of a model is read: which entry of it, what its numbers are, and what is explained.

A model may return logits, probabilities, one logit, several labels, values, a map per class, boxes, inside a tensor, a
mapping or a tuple. `Reading` turns all of them into scores, (N, C), one per class, of which one is explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves, UsageError, unknown_name


class OutputKind(StrEnum):
    """What the numbers are that a model returns for an image."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    BINARY = "binary"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    SEGMENTATION = "segmentation"


MEANINGS: Mapping[OutputKind, str] = {
    OutputKind.LOGITS: "logits of classes that exclude each other (softmax gives probabilities)",
    OutputKind.PROBABILITIES: "probabilities of classes that exclude each other",
    OutputKind.BINARY: "one number for two classes (sigmoid gives the probability of the second)",
    OutputKind.MULTILABEL: "several labels, each of which is there or not (sigmoid gives probabilities)",
    OutputKind.REGRESSION: "values",
    OutputKind.SEGMENTATION: "a map per class (softmax at each place; shown is the share of the image)",
}
# In single precision, the sum of thousands of probabilities can differ from 1 by up to this much.
ROUNDING = 1e-3
_NAMES_OF_LOGITS = ("logits", "out", "output", "scores", "predictions", "pred")
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
        squashed: whether numbers of kind `BINARY` and `MULTILABEL` are probabilities already.
        why: how the kind is known, as text for reports.
    """

    kind: OutputKind
    outputs: int
    entry: tuple[str | int, ...] = ()
    squashed: bool = False
    why: str = "given"

    @property
    def classes(self) -> int:
        """Number of classes, C: a model with a single logit, or a single map, has two."""
        single = self.outputs == 1 and self.kind is OutputKind.SEGMENTATION
        return 2 if single or self.kind is OutputKind.BINARY else self.outputs

    @property
    def exclusive(self) -> bool:
        """Whether the numbers that are shown are probabilities that sum to 1."""
        return self.kind not in (OutputKind.MULTILABEL, OutputKind.REGRESSION)

    @property
    def has_prediction(self) -> bool:
        """Whether the largest score is the model's answer. Of several values it is not."""
        return self.kind is not OutputKind.REGRESSION or self.outputs == 1

    def scores(self, output: Any) -> Tensor:
        """Return what is explained, (N, C), from the output for N images, with gradients if it has any.

        One logit z becomes -z and z, as `BinaryClassifierOutputTarget` of pytorch-grad-cam takes it; a probability p
        becomes 1 - p and p. A map per class becomes the share of the image that the class has. All other numbers stay
        what they are.
        """
        if self.kind is OutputKind.SEGMENTATION:
            return self.maps(output).softmax(dim=1).mean(dim=(2, 3))
        numbers = in_rows(self._numbers(output))
        if self.kind is not OutputKind.BINARY or numbers.shape[1] != 1:
            return numbers
        return torch.cat([1 - numbers, numbers] if self.squashed else [-numbers, numbers], dim=1)

    def maps(self, output: Any) -> Tensor:
        """Return the maps (N, C, h, w) in the output of a segmentation. A single map z becomes -z / 2 and z / 2.

        So softmax over two classes gives what sigmoid gives for the single map.
        """
        numbers = self._numbers(output)
        return torch.cat([-numbers / 2, numbers / 2], dim=1) if self.outputs == 1 else numbers

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

    def __str__(self) -> str:
        """Describe the reading in words."""
        place = f"entry {'.'.join(map(str, self.entry))} of the output; " if self.entry else ""
        return f"{place}{MEANINGS[self.kind]}; {self.why}"


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
    entry = entry_of_numbers(output, model)
    first, second = (in_rows(at_entry(each, entry)) for each in (output, again))
    if _is_map_per_class(first) and kind in (None, OutputKind.SEGMENTATION):
        return Reading(OutputKind.SEGMENTATION, first.shape[1], entry, why="found: it has an axis for rows and columns")
    if kind is OutputKind.SEGMENTATION:
        raise UsageError(f"{model} returned {_told(output)}; --output segmentation is for maps (1, C, h, w).")
    count = _checked(first, output, model).shape[1]
    if kind is None:
        return replace(_detected(first, second, names, model), entry=entry)
    if kind is OutputKind.BINARY and count > 1:
        raise UsageError(f"{model} returns {count} numbers; --output binary is for a single one. Give another kind.")
    if kind in (OutputKind.LOGITS, OutputKind.PROBABILITIES) and count == 1:
        raise UsageError(
            f"{model} returns a single number, of which --output {kind} would always make the probability 1. Give "
            "--output binary or --output regression."
        )
    within = all(map(_between_0_and_1, (first, second)))
    return Reading(kind, count, entry, squashed=within and _ends_in(first, "Sigmoid"))


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


def entry_of_numbers(output: Any, model: str) -> tuple[str | int, ...]:
    """Return the keys and positions at which the numbers stand in an output.

    Of a mapping, that is the entry `logits` or another usual name, or its only tensor; of a tuple, the first entry.

    Raises:
        ModelMisbehaves: there is no tensor, or it cannot be told which one is meant.
    """
    if isinstance(output, Tensor):
        return ()
    if isinstance(output, Mapping):
        return _entry_of_mapping(output, model)
    if isinstance(getattr(output, "logits", None), Tensor):
        return ("logits",)
    if isinstance(output, tuple | list) and output and not _are_boxes(output):
        return (0, *entry_of_numbers(output[0], model))
    raise ModelMisbehaves(
        f"{model} returned {_told(output)}; expected a tensor (1, C) of numbers, one per class, or a mapping or tuple "
        f"with one. Wrap the model in a module that returns one score per class{_of_boxes(output)}."
    )


def _entry_of_mapping(output: Mapping[Any, Any], model: str) -> tuple[str | int, ...]:
    tensors = [key for key, value in output.items() if isinstance(value, Tensor)]
    usual = [name for name in _NAMES_OF_LOGITS if name in tensors]
    if usual or len(tensors) == 1:
        return (usual[0] if usual else tensors[0],)
    raise ModelMisbehaves(
        f"{model} returned a {type(output).__name__} with the entries {', '.join(map(str, output))}; expected one "
        "called logits, or a single tensor. Wrap the model in a module that returns one score per class, or "
        "give it a head if it has no classes."
    )


def at_entry(output: Any, entry: tuple[str | int, ...]) -> Tensor:
    """Return what stands at an entry of an output."""
    for key in entry:
        output = getattr(output, key) if isinstance(key, str) and not isinstance(output, Mapping) else output[key]
    tensor: Tensor = output
    return tensor


def _are_boxes(output: tuple[Any, ...] | list[Any]) -> bool:
    return isinstance(output[0], Mapping) and "boxes" in output[0]


def _of_boxes(output: Any) -> str:
    boxes = isinstance(output, tuple | list) and bool(output) and _are_boxes(output)
    return ", such as the score of the best box of each class" if boxes else ""


def _told(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, tuple | list) and output:
        return f"a {type(output).__name__} of {len(output)} {type(output[0]).__name__}"
    return f"a {type(output).__name__}"
