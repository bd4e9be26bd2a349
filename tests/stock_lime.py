"""The plain library, as its users call it: the reference that ours must equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.bench.stock_lime import stock_lime, stock_weights

__all__ = ["on_tensors", "stock_lime", "stock_weights", "toy_model"]

ToyPredict = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


def toy_model(classes: int = 7, grid: int = 6, seed: int = 0) -> ToyPredict:
    """Softmax over a linear model of the image's block means, in double precision: (N, H, W, 3) to (N, classes)."""
    weights = np.random.default_rng(seed).normal(size=(grid * grid * 3, classes))

    def predict(views: NDArray[np.uint8]) -> NDArray[np.float64]:
        scaled = views[:, :: max(1, views.shape[1] // grid), :: max(1, views.shape[2] // grid)][:, :grid, :grid] / 255.0
        scores = scaled.reshape(len(views), -1) @ weights
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return predict


def on_tensors(predict: ToyPredict) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda views: torch.from_numpy(predict(views.numpy()))
