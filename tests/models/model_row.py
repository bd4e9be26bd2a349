"""What one row of the table of models says: a network, and what a reader expects of its explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from torch import Tensor, nn

from xai_eval.inputs.models.reading import OutputKind

Reshape = Callable[[Tensor], Tensor]


class Numbers(StrEnum):
    """What people are meant to read about a row's output."""

    SOFTMAX = "softmax of logits"
    AS_THEY_ARE = "probabilities as the network returns them"
    SIGMOID = "sigmoid of each label"
    ONE_LOGIT = "sigmoid of one logit"
    ONE_PROBABILITY = "one probability"
    VALUE = "value"
    COSINE = "cosine similarity to the features of another image"
    BOX = "best score of each class"
    SHARE = "share of the image that each class has, by softmax"


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        name: how the table calls it.
        make: makes the network.
        layer: name of the layer that must be explained if nobody names one.
        reshape: lays the output of the layer over the image, as the documentation of pytorch-grad-cam has it; None for
            maps (N, C, h, w).
        size: side of the network's square input in pixels; its height if it is not square.
        width: width of the network's input in pixels; 0 if it is square.
        channels: number of channels of its input.
        numbers: what is read from its output.
        entry: picks the numbers, (N, C) or (N,), from what the network returns.
        output: kind of output that the user gives; None if nothing is given.
        asked: name of the layer that the user names; empty if nobody names one.
        before: further step of the preprocessing before the image becomes a tensor.
        after: further step of the preprocessing after the tensor was normalised.
        layer_in_reference: name of the layer in the network of the reference, if it differs.
        reference: makes the network of the reference, if it is not a copy of the explained one.
        file: whether the network is loaded by the spec `file:PATH.py:FACTORY`, which assumes 224 px.
        refused: part of the sentence with which it is refused; empty if it is explained.
        lime: whether LIME explains it although Grad-CAM cannot.
        slow: whether the row takes longer than the default run may.
    """

    name: str
    make: Callable[[], nn.Module]
    layer: str = ""
    reshape: Reshape | None = None
    size: int = 64
    width: int = 0
    channels: int = 3
    numbers: Numbers = Numbers.SOFTMAX
    entry: Callable[[Any], Tensor] = lambda output: output
    output: OutputKind | None = None
    asked: str = ""
    before: Callable[[Any], Any] | None = None
    after: Callable[[Tensor], Tensor] | None = None
    layer_in_reference: str = ""
    reference: Callable[[], nn.Module] | None = None
    file: bool = False
    refused: str = ""
    lime: bool = False
    slow: bool = False


@dataclass(frozen=True)
class Told:
    """What the table prints of a row that ran."""

    name: str
    layer: str
    layout: str
    output: str
    verdict: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name, self.layer, self.layout, self.output, self.verdict)


def channels_last(output: Tensor) -> Tensor:
    """Maps (N, h, w, C) as (N, C, h, w)."""
    return output.permute(0, 3, 1, 2)


def tokens(height: int, width: int, before: int = 0, behind: int = 0) -> Reshape:
    """Tokens (N, before + height * width + behind, C) as maps (N, C, height, width)."""

    def reshape(output: Tensor) -> Tensor:
        places = output[:, before : output.shape[1] - behind, :]
        return places.reshape(len(output), height, width, output.shape[2]).transpose(2, 3).transpose(1, 2)

    return reshape
