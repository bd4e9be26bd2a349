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
from torch.nn.modules.conv import _ConvNd

from xai_eval.errors import UsageError
from xai_eval.explainers.cam.fast.parts import Parts, in_parts
from xai_eval.explainers.cam.fast.prefix import map_tensors
from xai_eval.explainers.cam.fast.replay import PrefixReplay
from xai_eval.explainers.cam.fast.rows_at_once import rows_at_once
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.one_by_one import takes_one_image

# The library's own constant. An ablated channel is set to 0 if the smallest activation is 0, else to the smallest
# activation minus this constant.
ABLATION_VALUE = 1e7
# Rows of the library's batches.
ROWS = 32


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
    # The replay counts calls of modules, so it has to see a product that is computed in parts as one call.
    with in_parts(module, ROWS) as parts, PrefixReplay(module, layer).installed() as replay, _logits_on_cpu(module):
        maps = layout is None or layout.is_plain
        ablation = ReplayedAblation(replay, parts) if maps else ReplayedTokenAblation(replay, parts)
        yield _BatchedAblationCAM(module, layer, layout, ablation)


class _BatchedAblationCAM(AblationCAM):  # type: ignore[misc]  # the library has no types
    """The library's AblationCAM, whose passes have as many rows on a GPU as fit, if that changes no value."""

    def __init__(self, module: nn.Module, layer: nn.Module, layout: Layout | None, ablation: _Replayed) -> None:
        super().__init__(module, [layer], reshape_transform=layout, ablation_layer=ablation, batch_size=ROWS)
        self._module = module

    def get_cam_weights(self, input_tensor: Tensor, *rest: Any) -> Any:
        """Return the weight of each channel, as the library computes it."""
        if input_tensor.is_cuda and self.ablation_layer.may_have_more_rows:
            self.batch_size = max(ROWS, rows_at_once(self._module, input_tensor[:1]))
        return super().get_cam_weights(input_tensor, *rest)


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


class _Replayed(AblationLayer):  # type: ignore[misc]  # the library has no types
    """Gives the same values as the library's ablation layer, in time that grows linearly with the batch.

    The library copies the activations for every batch, and searches the whole batch for its minimum before it ablates
    each row. Here one buffer of repeated activations is reused: only the ablated channels are restored, unless the
    network wrote into the buffer. The minimum is searched once per image, because the minimum after each row follows
    from the value written into that row.
    """

    def __init__(self, replay: PrefixReplay, parts: Parts) -> None:
        super().__init__()
        self._replay = replay
        self._parts = parts
        self._image = -1
        self._source = self._buffer = self._values = torch.empty(0)
        self._order = self._rows = self._ablated = torch.empty(0, dtype=torch.int64)
        self._version = 0
        self._learning = False
        self._answered = False

    @property
    def may_have_more_rows(self) -> bool:
        """Whether passes of more rows than the library's give the same values, and take less time.

        Convolutions take their time with 32 rows, too; all else is done before the CPU has begun the next pass. In a
        second call of the layer the library ablates its own batch again.
        """
        once = self._replay.calls_of_layer == 1
        return once and not any(isinstance(each, _ConvNd) for each in self._replay.follows)

    def set_next_batch(self, input_batch_index: int, activations: Tensor, num_channels_to_ablate: int) -> None:
        """Prepare the next batch of ablated channels of one image. The library calls this before each of its batches.

        Args:
            input_batch_index: index of the image among the N images.
            activations: the output of the layer, (N, C, h, w) or with channels last.
            num_channels_to_ablate: number of rows of the next batch; each row has one channel ablated.
        """
        if input_batch_index != self._image:
            self._take_image(input_batch_index, activations, num_channels_to_ablate)
        else:
            self._restore()
        self.activations = self._buffer[:num_channels_to_ablate]
        self._parts.rows = num_channels_to_ablate
        self._answered = False

    def __call__(self, *_given: Any, **_named: Any) -> Tensor:
        """Return the layer's activations with one channel ablated per row; what it is given is ignored.

        The library's own layer takes one argument only, but blocks of transformers are given masks and positions, too.
        """
        self._replay.reach()
        if self._learning:
            return self._replay.answer()
        if self._answered:
            # The model calls the layer a second time in this pass. The library then ablates the tensor of the first
            # call again, with whatever the network has written into it since.
            return cast(Tensor, super().__call__(None))
        count, done = len(self.activations), len(self._order) - len(self.indices)
        self._ablated = self._order[done : done + count]
        by_channel = self._by_channel(self.activations)
        values = self._values[:count].reshape(-1, *[1] * (by_channel.dim() - 2))
        by_channel[self._rows[:count], self._ablated] = values
        self._version = self._buffer._version
        self._answered = True
        return self.activations

    def _by_channel(self, activations: Tensor) -> Tensor:
        """Return a view of activations whose second axis is that of the channels."""
        raise NotImplementedError

    def _take_image(self, image: int, activations: Tensor, rows: int) -> None:
        self._image = image
        self._learning = True
        try:
            self._replay.learn(image)
        finally:
            self._learning = False
        self._source = activations[image]
        self._buffer = self._source[None].repeat(rows, *[1] * self._source.dim())
        # In one copy each: a copy per batch would wait for a GPU each time.
        device = activations.device
        self._order = torch.from_numpy(np.asarray(self.indices, dtype=np.int64)).to(device)
        self._rows = torch.arange(rows, device=device)
        self._values = _ablation_values(self._source, rows)

    def _restore(self) -> None:
        """Restore every row of the buffer to the activations of the image."""
        if self._buffer._version != self._version:  # the network wrote into it: in-place ReLU, `+=`
            self._buffer.copy_(self._source.expand_as(self._buffer))
        else:
            rows = self._rows[: len(self._ablated)]
            channels = self._by_channel(self._source[None])[0]
            self._by_channel(self._buffer)[rows, self._ablated] = channels[self._ablated]


class ReplayedAblation(_Replayed):
    """For maps, (N, C, h, w)."""

    def _by_channel(self, activations: Tensor) -> Tensor:
        return activations


class ReplayedTokenAblation(_Replayed, AblationLayerVit):  # type: ignore[misc]  # the library has no types
    """For tensors with their channels last, (N, tokens, C) or (N, h, w, C)."""

    def _by_channel(self, activations: Tensor) -> Tensor:
        return activations.transpose(1, -1)


def _ablation_values(activations: Tensor, rows: int) -> Tensor:
    """Return the value that the library writes into the ablated channel of each row, (rows,).

    The value is 0 if the minimum of the batch is 0, else that minimum minus `ABLATION_VALUE`. The library searches the
    minimum again before every row, so the value written into one row is the minimum for the next row. It begins anew
    with each of its batches.
    """
    minimum = activations.min().cpu()  # one wait for a GPU, instead of one per row
    values = []
    for _ in range(min(rows, ROWS)):
        minimum = torch.zeros_like(minimum) if minimum == 0 else minimum - ABLATION_VALUE
        values.append(minimum)
    return torch.stack(values).repeat(-(-rows // ROWS))[:rows].to(activations.device)
