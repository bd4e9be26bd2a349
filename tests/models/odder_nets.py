"""More small networks with one oddity each, loaded by the spec `file:odder_nets.py:NAME`."""

from __future__ import annotations

import torch
from odd_nets import Plain
from torch import Tensor, nn

# A part of them runs without gradients.


class StemWithoutGrad(Plain):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            places = self.stem(images)
        return self.head(self.body(places).mean((2, 3)))


class StemInInferenceMode(Plain):
    def forward(self, images: Tensor) -> Tensor:
        with torch.inference_mode():
            places = self.stem(images)
        return self.head(self.body(places.clone()).mean((2, 3)))


class StemDetached(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(self.stem(images).detach()).mean((2, 3)))


class HeadAloneWithGrad(Plain):
    """Only its head is trained."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.body(self.stem(images)).mean((2, 3))
        return self.head(features)


def stem_without_grad() -> nn.Module:
    return StemWithoutGrad()


def stem_in_inference_mode() -> nn.Module:
    return StemInInferenceMode()


def stem_detached() -> nn.Module:
    return StemDetached()


def head_alone_with_grad() -> nn.Module:
    return HeadAloneWithGrad()
