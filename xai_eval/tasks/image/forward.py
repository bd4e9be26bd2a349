"""One plain forward pass: what the model says of an image, and what the explained layer holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError

if TYPE_CHECKING:
    import torch

    from xai_eval.inputs.models.classifier import Classifier


@dataclass(frozen=True)
class Forward:
    """What one pass gave.

    Attributes:
        logits: (C,) float32.
        activations: output of the layer, (c, h, w) float32; None where no layer is explained.
    """

    logits: NDArray[np.float32]
    activations: NDArray[np.float32] | None


def input_batch(classifier: Classifier, pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Prepare one image, uint8 (h, w, 3), as a batch (1, 3, H, W) on the model's device."""
    from PIL import Image

    from xai_eval.inputs.models.model_errors import as_model_error

    # The preparation may be the user's own, like the model.
    with as_model_error(f"the preprocessing of {classifier.name}", pixels.shape):
        return classifier.preprocess(Image.fromarray(pixels))[None].to(classifier.device)


def forward(classifier: Classifier, layer: str | None, batch: torch.Tensor) -> Forward:
    """Run the model on a batch of one and keep its logits and what `layer` returned last, if one is named.

    Raises:
        ModelMisbehaves: the model raises, or returns no finite logits of the right shape.
        UsageError: the layer was not reached, or returned no map (1, c, h, w).
    """
    import torch

    from xai_eval.inputs.models.model_errors import as_model_error
    from xai_eval.inputs.models.outputs import logits

    kept: list[Any] = []
    with as_model_error(classifier.name, batch.shape), _recorded(classifier, layer, kept), torch.no_grad():
        scores = logits(classifier, batch)
    activations = None if layer is None else _numpy(_spatial_map(kept, layer, classifier.name)[0])
    return Forward(_numpy(scores[0]), activations)


@contextmanager
def _recorded(classifier: Classifier, layer: str | None, kept: list[Any]) -> Iterator[None]:
    """Keep what a layer returns while the context is open."""
    if layer is None:
        yield
        return
    # A clone, because an in-place ReLU that follows would change what is kept.
    handle = classifier.layer(layer).register_forward_hook(lambda _m, _i, output: kept.append(_clone(output)))
    try:
        yield
    finally:
        handle.remove()


def _clone(output: Any) -> Any:
    import torch

    return output.detach().clone() if isinstance(output, torch.Tensor) else output


def _spatial_map(kept: list[Any], layer: str, model: str) -> Any:
    import torch

    if not kept:
        raise UsageError(f"layer {layer!r} of {model} is not reached by a forward pass. Choose another --layer.")
    output = kept[-1]
    if not isinstance(output, torch.Tensor) or output.dim() != 4:
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UsageError(
            f"layer {layer!r} of {model} returns {got}; a class activation map needs a map (1, channels, height, "
            "width). Choose another --layer."
        )
    return output


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
