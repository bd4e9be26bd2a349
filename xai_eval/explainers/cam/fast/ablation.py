"""AblationCAM that runs only what follows the explained layer while the library loops over its channels.

Ablation-CAM: Desai and Ramaswamy, WACV 2020; pytorch-grad-cam, `ablation_cam.py` and `ablation_layer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, AblationLayer
from torch import Tensor, nn

from xai_eval.explainers.cam.fast.replay import PrefixReplay

# The library's own constant: what it subtracts from the minimum of a layer that can be other than zero.
ABLATION_VALUE = 1e7


@contextmanager
def fast_ablation_cam(module: nn.Module, layer: nn.Module) -> Iterator[Any]:
    """Yield the library's AblationCAM, for one call, over a model whose prefix is replayed."""
    with PrefixReplay(module, layer).installed() as replay:
        yield AblationCAM(module, [layer], ablation_layer=ReplayedAblation(replay))


class ReplayedAblation(AblationLayer):  # type: ignore[misc]  # the library has no types
    """The library's ablation layer with the same values, in time linear in the batch.

    The library copies the activations for every batch and searches the whole batch for its minimum before
    each row. Here one buffer of repeated activations lives on and only the ablated channels are put back, unless
    the network wrote into it; and the minimum is searched once, since the rows before tell what it becomes.
    """

    def __init__(self, replay: PrefixReplay) -> None:
        super().__init__()
        self._replay = replay
        self._image = -1
        self._source = self._buffer = self._values = torch.empty(0)
        self._ablated = torch.empty(0, dtype=torch.int64)
        self._version = 0
        self._learning = False
        self._answered = False

    def set_next_batch(self, input_batch_index: int, activations: Tensor, num_channels_to_ablate: int) -> None:
        """Take up the next channels of one image; the library calls this before each of its batches.

        Args:
            input_batch_index: which image of the batch.
            activations: the layer's output, (N, C, h, w).
            num_channels_to_ablate: rows of the next batch.
        """
        if input_batch_index != self._image:
            self._take_image(input_batch_index, activations, num_channels_to_ablate)
        else:
            self._restore()
        self.activations = self._buffer[:num_channels_to_ablate]
        self._answered = False

    def __call__(self, x: Any) -> Tensor:
        """Answer in place of the layer; `x` is ignored, as in the library."""
        self._replay.reach()
        if self._learning:
            return self._replay.answer()
        if self._answered:
            # A layer called twice in one pass: the library ablates what the network left of its first answer.
            return cast(Tensor, super().__call__(x))
        rows = torch.arange(len(self.activations))
        self._ablated = torch.from_numpy(np.asarray(self.indices[: len(rows)], dtype=np.int64))
        self.activations[rows, self._ablated] = self._values[: len(rows), None, None]
        self._version = self._buffer._version
        self._answered = True
        return self.activations

    def _take_image(self, image: int, activations: Tensor, rows: int) -> None:
        self._image = image
        self._learning = True
        try:
            self._replay.learn(image)
        finally:
            self._learning = False
        self._source = activations[image]
        self._buffer = self._source.repeat(rows, 1, 1, 1)
        self._values = _ablation_values(self._source, rows)

    def _restore(self) -> None:
        """Make every row of the buffer the image's own activations again."""
        if self._buffer._version != self._version:  # the network wrote into it: in-place ReLU, `+=`
            self._buffer.copy_(self._source.expand_as(self._buffer))
        else:
            rows = torch.arange(len(self._ablated))
            self._buffer[rows, self._ablated] = self._source[self._ablated]


def _ablation_values(activations: Tensor, rows: int) -> Tensor:
    """Compute what the library writes into the ablated channel of each row, (rows,).

    Zero where the minimum of the batch is zero, else that minimum less `ABLATION_VALUE`. The minimum is taken
    anew before every row, so the value of one row is the minimum that the next row starts from.
    """
    minimum = activations.min()
    values = []
    for _ in range(rows):
        minimum = torch.zeros_like(minimum) if minimum == 0 else minimum - ABLATION_VALUE
        values.append(minimum)
    return torch.stack(values)
