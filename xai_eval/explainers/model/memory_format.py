"""The memory format in which a model runs fastest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xai_eval.explainers.model.reproduction import disagreement
from xai_eval.inputs.models.reading import needs_contiguous

# On a CPU, channels last costs a new layout of all weights in every call. With fewer weights per pixel of an image it
# was faster, up to 1.3 times; with more, it was slower, down to 0.7 times (ResNet18 has 2,700 at 64 px, 220 at 224 px).
# Measured on ResNets, DenseNet, MobileNets, VGG and ConvNeXt.
_MOST_WEIGHTS_PER_PIXEL = 1000


def best_memory_format(model: nn.Module, example: Tensor) -> torch.memory_format:
    """Return channels last, if convolutions are faster in it and the model gives the same logits; else contiguous.

    Args:
        model: the model.
        example: a prepared image, (1, 3, H, W). The model gets it twice in one batch, because some errors do not show
            with a batch of one, such as a `view` that mixes up the batch axis.

    Returns:
        `torch.channels_last` or `torch.contiguous_format`.
    """
    if needs_contiguous(model):
        return torch.contiguous_format
    if example.device.type == "cpu" and _weights_per_pixel(model, example) > _MOST_WEIGHTS_PER_PIXEL:
        return torch.contiguous_format
    batch = example.repeat(2, 1, 1, 1)
    expected = model(batch)
    try:
        logits = model(batch.contiguous(memory_format=torch.channels_last))
    except RuntimeError:  # a `view` in the model needs contiguous tensors
        return torch.contiguous_format
    return torch.contiguous_format if disagreement(logits, expected) else torch.channels_last


def _weights_per_pixel(model: nn.Module, example: Tensor) -> float:
    weights = sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Conv2d))
    return weights / (example.shape[-2] * example.shape[-1])
