"""ScoreCAM whose masked images run through the model in the form that costs least.

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
from xai_eval.explainers.model.memory_format import best_memory_format

# Half of the library's: at 224 px the largest tensors of a ResNet then stay below the 32 MB from which on the
# allocator asks the system for fresh pages each time.
BATCH_SIZE = 8


@contextmanager
def fast_score_cam(module: nn.Module, layer: nn.Module) -> Iterator[Any]:
    """Yield the library's ScoreCAM, for one call, with its loop over the masks fed to `MaskScorer`.

    The library holds all masked images in memory at once, so give it one image a call.
    """
    with ExitStack() as stack:
        cam = ScoreCAM(module, [layer])
        cam.batch_size = BATCH_SIZE
        cam.model = MaskScorer(module, stack, cam.activations_and_grads)
        yield cam


class MaskScorer:
    """Stands in for the model while the library scores masked images: the same logits, in less time.

    Batch norms are folded into convolutions, images are laid out channels last where the model bears that, and
    blank images, which every dead channel leads to, are scored once.
    """

    def __init__(self, model: nn.Module, stack: ExitStack, recorder: Any) -> None:
        self._model = model
        self._stack = stack
        self._recorder = recorder
        self._blank: Tensor | None = None
        self._layout: torch.memory_format | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the logits, (N, classes), of masked images, (N, 3, H, W)."""
        flat = batch.flatten(1)
        live = (flat.amax(dim=1) != 0) | (flat.amin(dim=1) != 0)  # `any` takes far longer on floats
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
            example = batch[:1].repeat(2, 1, 1, 1)  # two rows show what one hides, such as a view over the batch
            self._stack.enter_context(folded_batch_norms(self._model, example))
            self._layout = best_memory_format(self._model, batch[:1])
        logits = cast(Tensor, self._model(batch.contiguous(memory_format=self._layout)))
        # The library's hook collects the activations of every pass, but uses those of the first alone.
        self._recorder.activations.clear()
        return logits
