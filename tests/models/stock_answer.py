"""The independent reference: pytorch-grad-cam called as its documentation does, and numbers in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from model_row import Numbers, Row
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget, SemanticSegmentationTarget
from torch import Tensor, nn


@dataclass(frozen=True)
class StockAnswer:
    """Map (H, W) of the explained class by the library, its index, and the numbers that people should read, (C,)."""

    map: NDArray[np.float32]
    index: int
    shown: NDArray[np.float64]


class _Plain(nn.Module):
    """Returns the numbers of a network as rows of single precision, and gives it a copy of its input."""

    def __init__(self, network: nn.Module, row: Row, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self._row, self._dtype = network, row, dtype

    def forward(self, batch: Tensor) -> Any:
        if self._row.numbers is Numbers.BOX:
            return self.network(batch.clone())
        numbers = self._row.entry(self.network(batch.to(self._dtype).clone()))
        return numbers if numbers.dtype is torch.float64 else numbers.float()


def stock_answer(row: Row, network: nn.Module, batch: Tensor, other: Tensor) -> StockAnswer:
    """Ask the library for Grad-CAM of the class that the network itself prefers.

    Args:
        row: says which layer is meant, and how its output lies over the image.
        network: the network, which nothing of xai_eval has seen.
        batch: the prepared image, (1, channels, H, W).
        other: another one, which is the reference of an embedding.
    """
    first = next(network.parameters(), torch.zeros(0))
    plain = _Plain(network, row, first.dtype if first.is_floating_point() else torch.float32).eval()
    layer = dict(network.named_modules())[row.layer_in_reference or row.layer]
    with torch.no_grad():
        answer = plain(batch)[0]
    if row.numbers is Numbers.BOX:
        return _of_detection(row, plain, layer, batch, answer)
    numbers = answer.detach()
    if row.numbers is Numbers.SHARE:
        return _of_segmentation(row, plain, layer, batch, numbers)
    if row.numbers is Numbers.COSINE:
        return _of_similarity(row, plain, layer, batch, other)
    shown = shown_numbers(row.numbers, numbers)
    index = int(np.argmax(shown)) if row.numbers is not Numbers.VALUE else 0
    explained = GradCAM(plain, [layer], reshape_transform=row.reshape)
    found = explained(batch, [lambda output: _target(row.numbers, output, index)])
    return StockAnswer(found[0], index, shown)


def _of_segmentation(row: Row, plain: nn.Module, layer: nn.Module, batch: Tensor, maps: Tensor) -> StockAnswer:
    """Explain the class with the largest share, inside the region where it is the best class."""
    shown = maps.double().softmax(0).mean((1, 2)).numpy()
    index = int(np.argmax(shown))
    region = (maps.argmax(0) == index).float().numpy()
    explained = GradCAM(plain, [layer], reshape_transform=row.reshape)
    return StockAnswer(explained(batch, [SemanticSegmentationTarget(index, region)])[0], index, shown)


def _of_detection(row: Row, plain: nn.Module, layer: nn.Module, batch: Tensor, found: dict[str, Tensor]) -> StockAnswer:
    """Explain the box with the largest score."""
    best, labels = int(found["scores"].argmax()), found["labels"].tolist()
    shown = np.zeros(max(5, *(label + 1 for label in labels)))
    for label, score in zip(labels, found["scores"].tolist(), strict=True):
        shown[label] = max(shown[label], score)
    target = FasterRCNNBoxScoreTarget([labels[best]], found["boxes"][best].numpy()[None])
    explained = GradCAM(plain, [layer], reshape_transform=row.reshape)
    return StockAnswer(explained(batch, [target])[0], labels[best], shown)


class SimilarityToConceptTarget:
    """As the library's tutorial on attribution for embeddings defines it."""

    def __init__(self, features: Tensor) -> None:
        self.features = features

    def __call__(self, output: Tensor) -> Tensor:
        return nn.CosineSimilarity(dim=0)(output, self.features)


def _of_similarity(row: Row, plain: nn.Module, layer: nn.Module, batch: Tensor, other: Tensor) -> StockAnswer:
    with torch.no_grad():
        features, reference = plain(batch)[0], plain(other)[0]
    explained = GradCAM(plain, [layer], reshape_transform=row.reshape)
    cosine = (features.double() @ reference.double()) / (features.double().norm() * reference.double().norm())
    found = explained(batch, [SimilarityToConceptTarget(reference)])
    return StockAnswer(found[0], 0, np.array([float(cosine)]))


def _target(numbers: Numbers, output: Tensor, index: int) -> Tensor:
    row = output.reshape(-1)
    if numbers is Numbers.ONE_LOGIT:
        return row[0] if index == 1 else -row[0]
    if numbers is Numbers.ONE_PROBABILITY:
        return row[0] if index == 1 else 1 - row[0]
    return row[index]


def shown_numbers(numbers: Numbers, row: Tensor) -> NDArray[np.float64]:
    """Return what people read, one number per class, from the numbers of one image."""
    values = row.double().reshape(-1)
    if numbers is Numbers.SOFTMAX:
        return (values.exp() / values.exp().sum()).numpy()
    if numbers is Numbers.SIGMOID:
        return (1 / (1 + (-values).exp())).numpy()
    if numbers is Numbers.ONE_LOGIT:
        probability = 1 / (1 + (-values).exp())
        return torch.cat([1 - probability, probability]).numpy()
    return (torch.cat([1 - values, values]) if numbers is Numbers.ONE_PROBABILITY else values).numpy()
