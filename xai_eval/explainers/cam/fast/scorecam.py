"""ScoreCAM whose masked images run through a faster form of the model that gives the same logits.

Score-CAM: Wang et al., CVPR Workshops 2020; pytorch-grad-cam, `score_cam.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from pytorch_grad_cam import ScoreCAM
from torch import Tensor, nn

from xai_eval.explainers.cam.fast.folding import folded_batch_norms
from xai_eval.explainers.cam.fast.rows_at_once import ON_CPU, fewer_rows, rows_at_once
from xai_eval.explainers.model.full_precision import rounds_convolutions
from xai_eval.explainers.model.memory_format import best_memory_format
from xai_eval.inputs.models.layout import Layout

# Tensors of the size of all masked images that exist at once while the library makes them.
_TENSORS = 3


@contextmanager
def fast_score_cam(module: nn.Module, layer: nn.Module, layout: Layout | None = None) -> Iterator[Any]:
    """Yield the library's ScoreCAM for one call; `MaskScorer` computes the logits in its loop over the masks.

    The library holds all masked images in memory at once, so give it one image per call.

    Args:
        module: the model, in evaluation mode, restored on leaving.
        layer: the layer to explain.
        layout: lays the output of the layer over the image; None for a map (N, C, h, w).
    """
    with ExitStack() as stack:
        cam = _BatchedScoreCAM(module, [layer], reshape_transform=layout)
        cam.model = MaskScorer(module, stack)
        yield cam


class _BatchedScoreCAM(ScoreCAM):  # type: ignore[misc]  # the library has no types
    """The library's ScoreCAM, whose batches are as large as is good for the device."""

    def __init__(self, module: nn.Module, *given: Any, **named: Any) -> None:
        super().__init__(module, *given, **named)
        self._module = module

    def get_cam_weights(
        self, input_tensor: Tensor, target_layer: Any, targets: Any, activations: Any, grads: Any
    ) -> Any:
        """Return the score of each channel, as the library computes it."""
        # The hooks would copy what the layer returns for every masked image to the CPU (0.8 GB of a ResNet50), where
        # only the activations of the first pass are used.
        for handle in self.activations_and_grads.handles:
            handle.remove()
        # The library makes the masks and all masked images first.
        reserved = _TENSORS * activations.shape[1] * input_tensor[0].numel() * input_tensor.element_size()
        self.batch_size = rows_at_once(self._module, input_tensor[:1], reserved)
        while True:
            try:
                return super().get_cam_weights(input_tensor, target_layer, targets, activations, grads)
            except torch.OutOfMemoryError:
                if self.batch_size <= ON_CPU:
                    raise
            # Another program has taken memory since. Here the error is gone, and with it the tensors of its frames.
            self.batch_size = fewer_rows(self._module, input_tensor[:1])


class MaskScorer:
    """Takes the place of the model while the library scores masked images; gives the same logits in less time.

    Batch norms are folded into convolutions, unless convolutions round their inputs (TF32): folded weights are rounded
    otherwise. Images are stored channels last, if the model gives the same logits then. On a CPU all images that are
    entirely 0 are computed once; every channel that is 0 everywhere leads to one. On a GPU they are computed like the
    others, because to ask which they are means to wait for it.

    Logits are handed over on the CPU: the library asks for the score of each image, and would wait for a GPU each time.
    """

    def __init__(self, model: nn.Module, stack: ExitStack) -> None:
        self._model = model
        self._stack = stack
        self._blank: Tensor | None = None
        self._layout: torch.memory_format | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the logits, (N, classes) on the CPU, of masked images, (N, 3, H, W)."""
        if batch.device.type != "cpu":
            return self._run(batch).cpu()
        flat = batch.flatten(1)
        live = (flat.amax(dim=1) != 0) | (flat.amin(dim=1) != 0)  # `any` is far slower on floats
        if live.all():
            return self._run(batch)
        if self._blank is None:
            self._blank = self._run(batch[~live][:1])
        logits = self._blank.repeat(len(batch), 1)
        if live.any():
            logits[live] = self._run(batch[live])
        return logits

    def _run(self, batch: Tensor) -> Tensor:
        if self._layout is None:
            self._layout = best_memory_format(self._model, batch[:1])
            example = batch[:1].repeat(2, 1, 1, 1)  # some errors do not show with one row
            if not rounds_convolutions(batch.device):
                self._stack.enter_context(folded_batch_norms(self._model, example, self._layout))
        return cast(Tensor, self._model(batch.contiguous(memory_format=self._layout)))
