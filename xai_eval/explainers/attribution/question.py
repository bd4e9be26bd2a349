"""What an attribution method is asked: one class of one image, by one model, with the settings of all methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from xai_eval.inputs.models.same_answer import FirstAnswer

BASELINES = ("zero", "black")


@dataclass(frozen=True)
class Settings:
    """The settings of all methods; each method reads its own.

    Attributes:
        steps: steps that the integral of integrated gradients is summed over.
        samples: noisy inputs of SmoothGrad, and points on the path of gradient SHAP.
        noise: standard deviation of SmoothGrad's noise, as a share of the range of the input.
        window: side of the square that occlusion hides, as a share of the shorter side of the input. It moves by half
            of its side.
        baseline: what stands for a missing pixel: `zero` (the zero of the input tensor) or `black` (a black image,
            prepared as the image was).
        batch_size: inputs that the model gets at once.
    """

    steps: int = 50
    samples: int = 25
    noise: float = 0.15
    window: float = 0.125
    baseline: str = "zero"
    batch_size: int = 16

    def of(self, names: Sequence[str]) -> dict[str, Any]:
        """Return some of the settings by name, in the order of the attributes."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name in names}


@dataclass(frozen=True, eq=False)
class Question:
    """One class of one image.

    Attributes:
        module: takes a batch (N, C, H, W) and returns scores (N, K), one per class.
        batch: the prepared image, (1, C, H, W), on the module's device.
        baseline: what stands for a missing pixel, of the same shape.
        target: index of the explained class.
        settings: the settings of all methods.
        answer: what the module answered before, to be asked for again after each method; None if it is not steady.
    """

    module: nn.Module
    batch: Tensor
    baseline: Tensor
    target: int
    settings: Settings
    answer: FirstAnswer | None = None
