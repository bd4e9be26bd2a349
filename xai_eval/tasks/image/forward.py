"""One forward pass of a model: its logits for an image, and the activations of the explained layer."""

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
    from xai_eval.inputs.models.layout import Layout


@dataclass(frozen=True)
class Forward:
    """The output of one forward pass for one image.

    Attributes:
        logits: (C,) float32.
        activations: output of the layer, (c, h, w) float32; None if no layer is explained.
    """

    logits: NDArray[np.float32]
    activations: NDArray[np.float32] | None


def input_batch(classifier: Classifier, pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Prepare one image, uint8 (h, w, 3), as a batch (1, 3, H, W) on the model's device, in no half precision."""
    from PIL import Image

    from xai_eval.inputs.models.layout import HALVES
    from xai_eval.inputs.models.model_errors import as_model_error

    # The preprocessing may be code of the user, like the model, so its errors are reported in the same way.
    with as_model_error(f"the preprocessing of {classifier.name}", pixels.shape):
        batch = classifier.preprocess(Image.fromarray(pixels))[None].to(classifier.device)
    # Gradients at the image would be rounded to half precision, too, where small ones are lost.
    return batch.float() if batch.dtype in HALVES else batch


def forward(classifier: Classifier, layer: str | None, batch: torch.Tensor, layout: Layout | None = None) -> Forward:
    """Run the model on a batch of one image, and return its scores and the last output of `layer`, if one is given.

    Args:
        classifier: the model.
        layer: name of the explained layer, or None.
        batch: the prepared image, (1, channels, H, W).
        layout: how the output of the layer lies over the image; if None, it must be a map (1, c, h, w).

    Raises:
        ModelMisbehaves: the model raises an error, or does not return finite logits of the right shape.
        UsageError: the layer was not reached, or did not return a map (1, c, h, w).
    """
    import torch

    from xai_eval.inputs.models.model_errors import as_model_error
    from xai_eval.inputs.models.outputs import logits

    kept: list[Any] = []
    with as_model_error(classifier.name, batch.shape), _recorded(classifier, layer, kept), torch.no_grad():
        scores = logits(classifier, batch)
    activations = None if layer is None else _numpy(_laid_out(kept, layer, classifier.name, layout)[0])
    return Forward(_numpy(scores[0]), activations)


@contextmanager
def _recorded(classifier: Classifier, layer: str | None, kept: list[Any]) -> Iterator[None]:
    """Append every output of a layer to `kept` while the context is open."""
    if layer is None:
        yield
        return
    # The output is cloned, because an in-place ReLU after the layer would change it.
    handle = classifier.layer(layer).register_forward_hook(lambda _m, _i, output: kept.append(_clone(output)))
    try:
        yield
    finally:
        handle.remove()


def _clone(output: Any) -> Any:
    import torch

    if isinstance(output, tuple | list):
        return type(output)(map(_clone, output)) if type(output) in (tuple, list) else tuple(map(_clone, output))
    return output.detach().clone() if isinstance(output, torch.Tensor) else output


def _laid_out(kept: list[Any], layer: str, model: str, layout: Layout | None) -> Any:
    import torch

    if not kept:
        raise UsageError(
            f"layer {layer!r} of {model} is not reached when the model answers this image. If it leaves layers out for "
            "some images (an early exit, say), choose a --layer that it runs for every image."
        )
    output = kept[-1]
    if layout is not None:
        return layout(output)
    if not isinstance(output, torch.Tensor) or output.dim() != 4:
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UsageError(
            f"layer {layer!r} of {model} returns {got}; a class activation map needs a map (1, channels, height, "
            "width). Choose another --layer."
        )
    return output


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
