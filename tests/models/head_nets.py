"""One small convolutional network with every sort of head and output."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lively import lively
from torch import Tensor, nn

NAMES = ("ant", "bee", "cow", "dog", "elk")
Answer = namedtuple("Answer", ["logits", "features"])


@dataclass
class Record:
    """An output that is neither a tuple nor a mapping."""

    logits: Tensor
    loss: Tensor | None = None


class Kept(Tensor):
    """A subclass of a tensor, as libraries that keep metadata return it."""


class ModelOutput(OrderedDict):
    """A mapping whose entries are attributes, too, as transformers and diffusers return it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class Backbone(nn.Module):
    """Three convolutions, the mean over the places, and one linear layer."""

    def __init__(self, outputs: int = len(NAMES), channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 5, 4, 2), nn.ReLU(), nn.Conv2d(8, 12, 3, 1, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, 2, 1)
        )
        self.head = nn.Linear(12, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(images)).mean((2, 3)))


class Ending(nn.Module):
    """A backbone whose numbers go through one more function."""

    def __init__(self, function: Callable[[Tensor], Any], outputs: int, names: Any) -> None:
        super().__init__()
        self.backbone, self._function = Backbone(outputs), function
        if names is not None:
            self.class_names = names

    def forward(self, images: Tensor) -> Any:
        return self._function(self.backbone(images))


def ending_in(
    function: Callable[[Tensor], Any], outputs: int = len(NAMES), names: Any = NAMES
) -> Callable[[], nn.Module]:
    """Return a factory of a network that ends in `function`."""
    return lambda: lively(lambda: Ending(function, outputs, names), 64)


def with_channels(channels: int) -> Callable[[], nn.Module]:
    """Return a factory of a network for images with another number of channels than three."""
    return lambda: lively(lambda: Backbone(channels=channels), 64, channels)


class MapPerClass(nn.Module):
    """Returns a map of scores per class, as segmentation does."""

    def __init__(self, in_dict: bool) -> None:
        super().__init__()
        self.body, self.classes, self._in_dict = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 5, 1), in_dict

    def forward(self, images: Tensor) -> Any:
        maps = nn.functional.interpolate(self.classes(torch.relu(self.body(images))), scale_factor=2)
        return {"out": maps, "aux": maps} if self._in_dict else maps


class Boxes(nn.Module):
    """Returns boxes with labels and scores for each image, as detection does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, 2, 1)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        scores = self.body(images).mean((2, 3)).softmax(1)
        found = {"boxes": torch.rand(8, 4), "labels": torch.arange(8)}
        return [{**found, "scores": each} for each in scores]


class Classes(Backbone):
    """Returns the class instead of its score."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).argmax(1)


class Nothing(Backbone):
    """Forgets to return."""

    def forward(self, images: Tensor) -> None:
        super().forward(images)


class NotANumber(Backbone):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * float("nan")


def segmentation() -> nn.Module:
    return lively(lambda: MapPerClass(in_dict=False), 64)


def segmentation_in_a_mapping() -> nn.Module:
    return lively(lambda: MapPerClass(in_dict=True), 64)


def detection() -> nn.Module:
    return lively(Boxes, 64)


def classes_alone() -> nn.Module:
    return lively(Classes, 64)


def nothing() -> nn.Module:
    return lively(Nothing, 64)


def not_a_number() -> nn.Module:
    return lively(NotANumber, 64)
