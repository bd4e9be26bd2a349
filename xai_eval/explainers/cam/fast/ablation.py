"""AblationCAM that computes only the part of the model after the explained layer.

The library computes the map and loops over the channels. In each of its passes, what the model computes before the
layer is replayed from a recording.

Ablation-CAM: Desai and Ramaswamy, WACV 2020; pytorch-grad-cam, `ablation_cam.py` and `ablation_layer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, AblationLayer
from pytorch_grad_cam.ablation_layer import AblationLayerVit
from torch import Tensor, nn

from xai_eval.errors import UsageError
from xai_eval.explainers.cam.fast.prefix import map_tensors
from xai_eval.explainers.cam.fast.replay import PrefixReplay
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.one_by_one import takes_one_image

# The library's own constant. An ablated channel is set to 0 if the smallest activation is 0, else to the smallest
# activation minus this constant.
ABLATION_VALUE = 1e7


@contextmanager
def fast_ablation_cam(module: nn.Module, layer: nn.Module, layout: Layout | None = None) -> Iterator[Any]:
    """Yield the library's AblationCAM for one call, on a model whose computation before the layer is replayed.

    Args:
        module: the model, restored on leaving.
        layer: the layer to explain.
        layout: lays the output of the layer over the image; None for a map (N, C, h, w).

    Raises:
        UsageError: the library cannot ablate the channels of a layer that is laid out like this.
    """
    _check(layout)
    if takes_one_image(module):
        yield _one_channel_at_a_time(module, layer, layout)
        return
    with PrefixReplay(module, layer).installed() as replay, _logits_on_cpu(module):
        maps = layout is None or layout.is_plain
        ablation = ReplayedAblation(replay) if maps else ReplayedTokenAblation(replay)
        yield AblationCAM(module, [layer], reshape_transform=layout, ablation_layer=ablation)


@contextmanager
def _logits_on_cpu(module: nn.Module) -> Iterator[None]:
    """Hand all logits of a batch over at once: the library asks for the score of each row, and would wait each time."""
    handle = module.register_forward_hook(lambda _module, _given, output: map_tensors(Tensor.cpu, output))
    try:
        yield
    finally:
        handle.remove()


def _one_channel_at_a_time(module: nn.Module, layer: nn.Module, layout: Layout | None) -> Any:
    """Return the plain library's AblationCAM, whose batches hold one copy of the image."""
    ablation = AblationLayer() if layout is None or layout.is_plain else AblationLayerVit()
    cam = AblationCAM(module, [layer], reshape_transform=layout, ablation_layer=ablation)
    cam.batch_size = 1
    return cam


def _check(layout: Layout | None) -> None:
    if layout is None or (layout.is_plain and not layout.wrapped) or (layout.has_channels_last and not layout.wrapped):
        return
    raise UsageError(
        f"ablationcam sets channels of the layer to other values, which pytorch-grad-cam can do for maps "
        f"(N, C, h, w) and for tensors with their channels last; this layer returns {layout}"
        f"{' inside a tuple' if layout.wrapped else ''}. Choose another --layer, or another method."
    )


class ReplayedTokenAblation(AblationLayerVit):  # type: ignore[misc]  # the library has no types
    """The library's ablation layer for tensors with their channels last, after a prefix that is replayed."""

    def __init__(self, replay: PrefixReplay) -> None:
        super().__init__()
        self._replay = replay
        self._image = -1
        self._learning = False

    def set_next_batch(self, input_batch_index: int, activations: Tensor, num_channels_to_ablate: int) -> None:
        """Prepare the next batch of ablated channels of one image, as the library does."""
        if input_batch_index != self._image:
            self._image = input_batch_index
            self._learning = True
            try:
                self._replay.learn(input_batch_index)
            finally:
                self._learning = False
        super().set_next_batch(input_batch_index, activations, num_channels_to_ablate)

    def __call__(self, *_given: Any, **_named: Any) -> Tensor:
        """Return the layer's activations with one channel ablated per row; what it is given is ignored.

        The library's own layer takes one argument only, but blocks of transformers are given masks and positions, too.
        """
        self._replay.reach()
        return self._replay.answer() if self._learning else cast(Tensor, super().__call__(None))


class ReplayedAblation(AblationLayer):  # type: ignore[misc]  # the library has no types
    """Gives the same values as the library's ablation layer, in time that grows linearly with the batch.

    The library copies the activations for every batch, and searches the whole batch for its minimum before it ablates
    each row. Here one buffer of repeated activations is reused: only the ablated channels are restored, unless the
    network wrote into the buffer. The minimum is searched once per image, because the minimum after each row follows
    from the value written into that row.
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
        """Prepare the next batch of ablated channels of one image. The library calls this before each of its batches.

        Args:
            input_batch_index: index of the image among the N images.
            activations: the output of the layer, (N, C, h, w).
            num_channels_to_ablate: number of rows of the next batch; each row has one channel ablated.
        """
        if input_batch_index != self._image:
            self._take_image(input_batch_index, activations, num_channels_to_ablate)
        else:
            self._restore()
        self.activations = self._buffer[:num_channels_to_ablate]
        self._answered = False

    def __call__(self, *_given: Any, **_named: Any) -> Tensor:
        """Return the layer's activations with one channel ablated per row; what it is given is ignored."""
        self._replay.reach()
        if self._learning:
            return self._replay.answer()
        if self._answered:
            # The model calls the layer a second time in this pass. The library then ablates the tensor of the first
            # call again, with whatever the network has written into it since.
            return cast(Tensor, super().__call__(None))
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
        """Restore every row of the buffer to the activations of the image."""
        if self._buffer._version != self._version:  # the network wrote into it: in-place ReLU, `+=`
            self._buffer.copy_(self._source.expand_as(self._buffer))
        else:
            rows = torch.arange(len(self._ablated))
            self._buffer[rows, self._ablated] = self._source[self._ablated]


def _ablation_values(activations: Tensor, rows: int) -> Tensor:
    """Return the value that the library writes into the ablated channel of each row, (rows,).

    The value is 0 if the minimum of the batch is 0, else that minimum minus `ABLATION_VALUE`. The library searches the
    minimum again before every row, so the value written into one row is the minimum for the next row.
    """
    minimum = activations.min().cpu()  # one wait for a GPU, instead of one per row
    values = []
    for _ in range(rows):
        minimum = torch.zeros_like(minimum) if minimum == 0 else minimum - ABLATION_VALUE
        values.append(minimum)
    return torch.stack(values).to(activations.device)
