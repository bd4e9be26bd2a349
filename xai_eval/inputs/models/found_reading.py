"""Find out how the output of a model is read: from what it returned for two images, and what the user said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.models.detections import are_boxes, are_boxes_of_a_batch, check_boxes
from xai_eval.inputs.models.gradient_graph import is_image, sources
from xai_eval.inputs.models.output_entries import MOST_AXES, at_entry, entry_of_numbers, in_rows, told
from xai_eval.inputs.models.reading import ROUNDING, OutputKind, Reading
from xai_eval.inputs.models.squashing import is_squashed

_NAMES_OF_FEATURES = ("image_embeds", "pooler_output", "embedding", "embeddings", "features", "image_features")
_DOUBTFUL = (
    "assumed, although all its numbers for two images of noise lie between 0 and 1, and it cannot be measured whether "
    "they always do. If they are probabilities of labels, say --output multilabel; if they are logits, --output logits"
)
_FEATURES = (
    "assumed, although {}. If they are no classes, wrap the model in a module that returns some, or explain the "
    "features themselves: --output embedding --similar-to IMAGE. If they are, say --output {}"
)
_NEVER_NEGATIVE = "none of its numbers for two images of noise is negative, as of features behind a ReLU, or of depths"
_OF_LENGTH_1 = "its rows for two images of noise have length 1, as features have that are compared with others"
_UNSIGNED, _UNIT = "never negative", "of length 1"
_OF_FEATURES = {_UNSIGNED: _NEVER_NEGATIVE, _UNIT: _OF_LENGTH_1}
_OF_KEY_POINTS = "heatmaps"  # as an output of transformers calls them
_NO_CLASSES = (
    "expected maps of classes, one of which each place has. Wrap the model in a module that returns a number per key "
    "point, such as its place or the maximum of its map, and say --output regression."
)
_ALIKE = 1e-5  # share of the largest number by which the same number may differ in single precision
_SEVERAL = 2  # rows beside the first one
_FEWEST = 8  # numbers of which chance hardly ever makes all positive, for two images
_PRECISIONS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LIKE_AN_IMAGE = "as large as the input"
_STAYS = "found: they are probabilities already, between 0 and 1 whatever its last layer computes"
_WITHIN = "assumed, because they lie between 0 and 1, to be probabilities already"
_LOGARITHMS = "found: they are log-probabilities, which are explained as they are"
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


# Steps that change each number alone, and steps that put numbers in an order, by the names of their gradients.
_OF_EACH_ALONE = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "Mul", "Div", "Add", "Sub", "Exp", "Log", "Neg"})
_SORTING, _CHOOSING = ("Sort", "Topk"), "Gather"


def found_reading(
    output: Any,
    again: Any,
    kind: OutputKind | None,
    names: int | None,
    model: str,
    extremes: Iterable[tuple[Any, Any]] = (),
) -> Reading:
    """Find out how the output of a model is read.

    Args:
        output: what the model returns for one image, if possible with its graph of gradients.
        again: what it returns for one other image.
        kind: kind of output that the user gave; None to find out.
        names: number of names of classes that come with the model; None if it has none.
        model: name of the model, for errors.
        extremes: pairs of answers with very large weights, see `squashing`. They are taken only where they decide.

    Raises:
        ModelMisbehaves: the output holds no row of numbers that can be explained.
        UsageError: the model returns a single number, and nothing says what it is; or the given kind does not fit.
    """
    if kind is OutputKind.EMBEDDING:
        return _embedding(output, model)
    if isinstance(output, Mapping) and "pred_boxes" in output:
        raise ModelMisbehaves(
            f"{model} returns boxes as transformers does, {told(output)} with pred_boxes; expected them as "
            "torchvision returns them. Wrap the model as docs/how-to/other-outputs.md shows (Detectors of "
            "transformers)."
        )
    if are_boxes_of_a_batch(output):
        raise ModelMisbehaves(
            f"{model} returns the boxes of all images in one mapping (boxes, scores); expected a list with a mapping "
            "per image. Wrap the model in a module that returns [{name: each[i] for name, each in found.items()} for i "
            "in range(len(images))]."
        )
    if are_boxes(output) or kind is OutputKind.DETECTION:
        return _detection(output, kind, names, model)
    entry = entry_of_numbers(output, model)
    _check_numbers(at_entry(output, entry), model)
    first, second = (in_rows(at_entry(each, entry)) for each in (output, again))
    _check_widths(first, second, model)
    if kind is None and _OF_KEY_POINTS in entry:
        raise UsageError(
            f"{model} returns {_OF_KEY_POINTS} {tuple(first.shape)}, which show where key points lie; {_NO_CLASSES}"
        )
    if _is_map_per_class(first) and kind in (None, OutputKind.SEGMENTATION):
        if kind is None:
            _check_alone(output, entry, model)
        maps = _segmentation(_Numbers(first, second, entry, extremes), kind or names, model)
        others = [] if kind else _other_maps(output, entry)
        if not others:
            return maps
        return replace(maps, why=_first_of(others, maps.outputs, "maps"), beside=str(others[0]))
    if kind is OutputKind.SEGMENTATION:
        raise UsageError(f"{model} returned {told(output)}; --output segmentation is for maps (1, C, h, w).")
    count = _checked(first, output, entry, model).shape[1]
    numbers = _Numbers(first, second, entry, extremes)
    if kind is not OutputKind.REGRESSION:  # the largest of several values may be what is asked about
        _check_order(numbers, model)
    if kind is None:
        found = replace(_detected(numbers, names, model), entry=entry)
        others = _other_widths(output, entry) if found.kind is OutputKind.LOGITS else []
        return _with_other_rows(found, others, count)
    if kind is OutputKind.BINARY and count > 1:
        raise UsageError(f"{model} returns {count} numbers; --output binary is for a single one. Give another kind.")
    if kind in (OutputKind.LOGITS, OutputKind.PROBABILITIES) and count == 1:
        raise UsageError(
            f"{model} returns a single number, of which --output {kind} would always make the probability 1. Give "
            "--output binary or --output regression."
        )
    if kind not in (OutputKind.BINARY, OutputKind.MULTILABEL):
        return Reading(kind, count, entry)
    squashed = numbers.squashed
    why = "given" if squashed is not None else _WITHIN
    return Reading(kind, count, entry, squashed=squashed is not False, why=why)


@dataclass(frozen=True)
class _Numbers:
    """The numbers of two answers, and what they become with very large weights."""

    first: Tensor
    second: Tensor
    entry: tuple[str | int, ...]
    extremes: Iterable[tuple[Any, Any]]

    @property
    def both(self) -> tuple[Tensor, Tensor]:
        return self.first, self.second

    @property
    def never_negative(self) -> bool:
        return all(bool((each >= 0).all()) for each in self.both)

    @property
    def end_in_sigmoid(self) -> bool:
        return _ends_in(self.first, "Sigmoid")

    @cached_property
    def squashed(self) -> bool | None:
        """Whether they are kept between 0 and 1; None if they lie there, and it is not known why."""
        if not all(map(_between_0_and_1, self.both)):
            return False
        if self.end_in_sigmoid:
            return True
        return is_squashed((self._at_entry(one), self._at_entry(other)) for one, other in self.extremes)

    def _at_entry(self, output: Any) -> Tensor:
        return in_rows(at_entry(output, self.entry))


def _beside(output: Any, entry: tuple[str | int, ...]) -> list[Tensor]:
    """Return the other tensors of the tuple or list whose first one was taken for the numbers."""
    if not entry or entry[-1] != 0:
        return []
    # A single number beside them is a loss or a scale.
    return [in_rows(each) for each in at_entry(output, entry[:-1])[1:] if isinstance(each, Tensor) and each.dim()]


def _check_alone(output: Any, entry: tuple[str | int, ...], model: str) -> None:
    """Refuse maps with a row of numbers behind them: classes of places and labels, or features and classes."""
    rows = [each for each in _beside(output, entry) if each.dim() == MOST_AXES and len(each) == 1]
    if rows:
        raise UsageError(
            f"{model} returned {told(output)}: first maps {tuple(at_entry(output, entry).shape)}, then a row of "
            f"numbers {tuple(rows[0].shape)}. It cannot be told which of them are the classes. If the maps are, give "
            "--output segmentation; if the row is, wrap the model in a module that returns it alone."
        )


def _other_widths(output: Any, entry: tuple[str | int, ...]) -> list[int]:
    rows = [each for each in _beside(output, entry) if each.dim() == MOST_AXES and len(each) == 1]
    return [each.shape[1] for each in rows]


def _with_other_rows(found: Reading, others: list[int], count: int) -> Reading:
    """Say that the first of several rows is taken; of two alike, the second one is most likely an auxiliary one."""
    different = [each for each in others if each != count]
    if different:
        return replace(found, why=_first_of(different, count, "numbers"), beside=str(different[0]))
    if len(others) < _SEVERAL:
        return found
    why = (
        f"assumed, because it is the first of {len(others) + 1} with {count} numbers each, such as members of an "
        "ensemble. If another one or their mean is the answer, wrap the model in a module that returns it alone"
    )
    return replace(found, why=why, beside=f"{len(others)} of {count}")


def _other_maps(output: Any, entry: tuple[str | int, ...]) -> list[int]:
    maps = [each for each in _beside(output, entry) if _is_map_per_class(each)]
    return [each.shape[1] for each in maps if each.shape[1] != at_entry(output, entry).shape[1]]


def _first_of(others: list[int], count: int, what: str) -> str:
    return (
        f"assumed, because it is the first: it has {count} {what}, another entry has {others[0]}. If that one has the "
        "classes, wrap the model in a module that returns it alone"
    )


def _segmentation(numbers: _Numbers, told: object, model: str) -> Reading:
    """Read maps (1, C, h, w), which are logits or probabilities of classes that exclude each other.

    Args:
        numbers: the maps of two images.
        told: what says that they are classes, such as the number of names; None if nothing does.
        model: name of the model, for the error.
    """
    first, second, entry = numbers.first, numbers.second, numbers.entry
    count, why = first.shape[1], "found: it has an axis for rows and columns"
    if count > 1 and all(map(sum_to_one, (_places(first), _places(second)))):
        why = "found: it has an axis for rows and columns, and is never negative and sums to 1 at each place"
        return Reading(OutputKind.SEGMENTATION, count, entry, squashed=True, why=why)
    if all(map(_sum_to_one_over_places, numbers.both)):
        raise UsageError(
            f"{model} returns maps {tuple(first.shape)} that sum to 1 over their places, as those that show where a "
            f"key point lies; {_NO_CLASSES}"
        )
    if numbers.squashed:
        if count == 1:
            how = "its last step is a sigmoid" if numbers.end_in_sigmoid else "it stays between 0 and 1"
            return Reading(OutputKind.SEGMENTATION, 1, entry, squashed=True, why=f"{why}; {how}")
        raise UsageError(
            f"{model} returns maps that end in a sigmoid or the like, {tuple(first.shape)}; expected logits of classes "
            "that exclude each other at each place, or their probabilities. Wrap the model in a module that returns "
            "the maps from before the sigmoid."
        )
    if told is None and numbers.never_negative:
        why = _FEATURES.format(_NEVER_NEGATIVE, OutputKind.SEGMENTATION)
        return Reading(OutputKind.SEGMENTATION, count, entry, why=why, numbers=_UNSIGNED)
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


def may_be_an_image(reading: Reading, output: Any, input_shape: tuple[int, ...], names: int | None) -> bool:
    """Whether maps that are taken for classes may be an image: as many, and as large, as the input has them.

    Args:
        reading: how the output is read.
        output: what the model returned.
        input_shape: shape (channels, H, W) of one prepared image.
        names: number of names of classes that come with the model; None if it has none.
    """
    if reading.kind is not OutputKind.SEGMENTATION or reading.why == "given" or names is not None:
        return False
    return tuple(at_entry(output, reading.entry).shape[1:]) == tuple(input_shape)


AS_AN_IMAGE = (
    "assumed, although it is as large as the input and has as many channels: a model that returns an image, such as an "
    "autoencoder, has no classes. If the maps are classes, say --output segmentation, or name them in class_names"
)


def _has_proportions(places: tuple[int, int], size: tuple[int, int]) -> bool:
    (rows, columns), (height, width) = places, size
    return abs(rows * width - columns * height) <= max(height, width)


def _places(maps: Tensor) -> Tensor:
    """Return maps (1, C, h, w) as one row per place, (h * w, C)."""
    return maps[0].flatten(1).T


def _check_widths(first: Tensor, second: Tensor, model: str) -> None:
    """Refuse rows of which each image has another number, such as the scores of the points that were found in it."""
    if first.dim() == second.dim() == MOST_AXES and first.shape[1] != second.shape[1]:
        raise ModelMisbehaves(
            f"{model} returned {first.shape[1]} numbers for one image of noise and {second.shape[1]} for another, so "
            "that they do not stand for classes. Wrap the model in a module that returns one score per class."
        )


def _sum_to_one_over_places(maps: Tensor) -> bool:
    """Whether each of several maps, (1, C, h, w), is a probability distribution over places."""
    return maps.shape[2:].numel() > 1 and sum_to_one(maps[0].flatten(1))


def _embedding(output: Any, model: str) -> Reading:
    entry = entry_of_numbers(output, model, _NAMES_OF_FEATURES)
    features = in_rows(at_entry(output, entry))
    if not features.is_floating_point() or features.dim() != MOST_AXES or len(features) != 1:
        raise ModelMisbehaves(
            f"{model} returned {told(output)} for one image; expected one row of features, (1, D), for --output "
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
            f"{model} returned {told(output)}; --output detection is for a list with a mapping per image: boxes (n, "
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


def _detected(numbers: _Numbers, names: int | None, model: str) -> Reading:
    first, count = numbers.first, numbers.first.shape[1]
    if count == 1:
        return _single(numbers, names, model)
    if all(map(sum_to_one, numbers.both)):
        return Reading(OutputKind.PROBABILITIES, count, why="found: they are never negative and sum to 1")
    squashed = numbers.squashed
    if squashed or numbers.end_in_sigmoid:
        return Reading(OutputKind.MULTILABEL, count, squashed=True, why=_why_squashed(numbers))
    if squashed is None:
        return Reading(OutputKind.LOGITS, count, why=_DOUBTFUL, numbers="between 0 and 1")
    if _ends_in(first, "LogSigmoid"):
        raise UsageError(
            f"{model} ends in a log-sigmoid; expected logits or probabilities of labels. Wrap the model in a module "
            "that returns the logits, and give --output multilabel."
        )
    if all(map(are_log_probabilities, numbers.both)):
        return Reading(OutputKind.LOGITS, count, why=_LOGARITHMS, numbers="log-probabilities")
    _check_whole(numbers, model)
    _check_apart(numbers, model)
    features = "" if names is not None else _as_features(numbers)
    if features:
        why = _FEATURES.format(_OF_FEATURES[features], OutputKind.LOGITS)
        return Reading(OutputKind.LOGITS, count, why=why, numbers=features)
    return Reading(OutputKind.LOGITS, count, why="assumed (--output says otherwise)")


def _as_features(numbers: _Numbers) -> str:
    """Return what makes rows of numbers look like features of the image, not classes; empty if nothing does."""
    if numbers.first.shape[1] < _FEWEST:
        return ""
    if numbers.never_negative:
        return _UNSIGNED
    lengths = torch.cat(numbers.both).float().norm(dim=1)
    return _UNIT if bool(((lengths - 1).abs() < ROUNDING).all()) else ""


def _check_whole(numbers: _Numbers, model: str) -> None:
    """Refuse shares of another whole than 1, such as per cent, of which softmax would make other numbers."""
    first, second = (each.detach().cpu().double() for each in numbers.both)
    change, whole = second - first, float(first.sum())
    differs = float(change.abs().sum()) > ROUNDING * whole
    if numbers.never_negative and differs and abs(float(change.sum())) <= ROUNDING * float(change.abs().sum()):
        raise UsageError(
            f"{model} returns numbers that are never negative and sum to {whole:.4g} for every image; expected logits, "
            "or probabilities, which sum to 1. Wrap the model in a module that returns output / output.sum(1, "
            "keepdim=True), or say --output logits if softmax is to be taken of them."
        )


def _check_apart(numbers: _Numbers, model: str) -> None:
    """Refuse numbers that rise and fall together, of which softmax makes the same for every image."""
    first, second = (each.detach().cpu().double() for each in numbers.both)
    change, size = second - first, float(first.abs().max())
    together = float((change - change.mean()).abs().max()) <= _ALIKE * size
    if together and float(change.abs().max()) > 10 * _ALIKE * size:
        raise UsageError(
            f"{model} returns numbers whose differences are the same for every image, as one score with several "
            "thresholds has them (ordinal regression); softmax would make the same probabilities for all images. If "
            "each says whether a threshold is exceeded, say --output multilabel; else wrap the model in a module that "
            "returns a number per class."
        )


def _check_order(numbers: _Numbers, model: str) -> None:
    """Refuse scores that stand in another order for every image, so that none is always that of the same class."""
    count = numbers.first.shape[1]
    if count > 1 and _are_sorted(numbers.first) and _are_sorted(numbers.second):
        raise UsageError(
            f"{model} returns {count} numbers in the order of their size (sort, topk), so that none is always that of "
            "the same class; expected one per class, in the order of the classes. Wrap the model in a module that "
            "returns the scores from before they are sorted."
        )


def _are_sorted(numbers: Tensor) -> bool:
    """Whether the last step of the computation of numbers, (1, C), is to sort them."""
    node: Any = numbers.grad_fn
    while node is not None and (
        node.name().startswith(_SHAPING) or node.name().partition("Backward")[0] in _OF_EACH_ALONE
    ):
        made_of = [each for each in sources(node) if not is_image(each)]
        node = made_of[0] if len(made_of) == 1 else None
    if node is None or not node.name().startswith((*_SORTING, _CHOOSING)):
        return False
    chosen = node.name().startswith(_CHOOSING)  # numbers may be chosen in the order of other ones
    order = node._saved_index if chosen else node._saved_indices
    # What is sorted along a third axis are the places of each class, of which the largest are averaged.
    return order.dim() <= MOST_AXES and order.shape[-1] > 1 and (not chosen or _fall(numbers[0]) or _fall(-numbers[0]))


def _fall(numbers: Tensor) -> bool:
    return bool((numbers.diff() <= 0).all())


def _why_squashed(numbers: _Numbers) -> str:
    return "found: the last step is a sigmoid" if numbers.end_in_sigmoid else _STAYS


def _single(numbers: _Numbers, names: int | None, model: str) -> Reading:
    squashed = numbers.end_in_sigmoid or bool(numbers.squashed)
    if names == 2 or squashed:  # two classes, one logit
        why = _why_squashed(numbers) if squashed else "assumed, because two classes are named"
        return Reading(OutputKind.BINARY, 1, squashed=squashed, why=why)
    raise UsageError(
        f"{model} returns a single number for an image, which may be the logit of a class or a value. Say which: "
        "--output binary, or --output regression."
    )


def sum_to_one(rows: Tensor) -> bool:
    """Whether every row, (N, C), is a probability distribution."""
    within = bool((rows >= 0).all()) and bool((rows <= 1 + ROUNDING).all())
    return within and bool(((rows.float().sum(dim=1) - 1).abs() < ROUNDING).all())


def are_log_probabilities(rows: Tensor) -> bool:
    """Whether every row, (N, C), holds the logarithms of a probability distribution: their exponentials sum to 1."""
    return bool((rows <= ROUNDING).all()) and bool((rows.float().logsumexp(dim=1).abs() < ROUNDING).all())


def _ends_in(numbers: Tensor, function: str) -> bool:
    """Whether the last step of the computation of `numbers` is a function, by PyTorch's name of its gradient."""
    node: Any = numbers.grad_fn
    while node is not None and node.name().startswith(_SHAPING):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith(function)


def _why_other_rows(numbers: Tensor, bare: bool) -> str:
    if numbers.dim() and not len(numbers):
        return "A model that takes pairs of images has no answer for one. Wrap it in a module that holds the other one."
    if numbers.dim() == MOST_AXES + 1:
        return (
            "A map of one class needs an axis for the classes: unsqueeze(1). If it holds a row per token, frame or "
            "label, wrap the model in a module that returns one score per class."
        )
    if bare and numbers.dim() == 1:
        return (
            "If it ends in squeeze(), this drops the axis of the images as well where there is one image: name the "
            "axis that is meant, such as squeeze(2). Else wrap the model in a module that returns one score per class."
        )
    return "Wrap the model in a module that returns one score per class."


def _check_numbers(numbers: Tensor, model: str) -> None:
    """Refuse numbers that PyTorch cannot compute with as with others."""
    if numbers.is_nested:
        raise ModelMisbehaves(
            f"{model} returned a nested tensor; expected a dense one, with a row of the same length for each image. "
            "Return output.to_padded_tensor(0.0)."
        )
    if numbers.layout is not torch.strided:
        raise ModelMisbehaves(f"{model} returned a sparse tensor; expected a dense one. Return output.to_dense().")
    if numbers.is_floating_point() and numbers.dtype not in _PRECISIONS:
        raise ModelMisbehaves(
            f"{model} returned a tensor of {numbers.dtype}, in which PyTorch can hardly compute; expected half, single "
            "or double precision. Return output.float()."
        )


def _told_with(output: Any, entry: tuple[str | int, ...]) -> str:
    """Describe an output, and the shape of the entry that was taken for its numbers where that is not told already."""
    if isinstance(output, Tensor | tuple | list):
        return told(output)
    return f"{told(output)} with {'.'.join(map(str, entry))} of shape {tuple(at_entry(output, entry).shape)}"


def _checked(numbers: Tensor, output: Any, entry: tuple[str | int, ...], model: str) -> Tensor:
    if not numbers.is_floating_point():
        raise ModelMisbehaves(
            f"{model} returned a tensor of {numbers.dtype}; expected floating-point numbers. Return what the last "
            "layer computes, not the class."
        )
    # A number beside others is more likely a loss than the answer.
    alone = entry and at_entry(output, entry).dim() == 0
    if alone or numbers.dim() != MOST_AXES or len(numbers) != 1 or numbers.shape[1] == 0:
        raise ModelMisbehaves(
            f"{model} returned {_told_with(output, entry)} for one image; expected one row of numbers, (1, C), one per "
            f"class, or a map per class, (1, C, h, w). {_why_other_rows(at_entry(output, entry), bare=not entry)}"
        )
    return numbers
