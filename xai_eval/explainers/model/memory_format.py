"""The memory format in which a model runs fastest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xai_eval.explainers.model.reproduction import disagreement

# Below this many pixels, a CPU computes ResNets faster in the contiguous format: at 64 px by a third, at 96 px by 8 %.
_SMALL = 128 * 128


def best_memory_format(model: nn.Module, example: Tensor) -> torch.memory_format:
    """Return channels last, if convolutions are faster and the model gives the same logits in it; else contiguous.

    Args:
        model: the model.
        example: a prepared image, (1, 3, H, W). The model gets it twice in one batch, because some errors do not show
            with a batch of one, such as a `view` that mixes up the batch axis.

    Returns:
        `torch.channels_last` or `torch.contiguous_format`.
    """
    if example.device.type == "cpu" and example.shape[-2:].numel() < _SMALL:
        return torch.contiguous_format
    batch = example.repeat(2, 1, 1, 1)
    expected = model(batch)
    try:
        logits = model(batch.contiguous(memory_format=torch.channels_last))
    except RuntimeError:  # a `view` in the model needs contiguous tensors
        return torch.contiguous_format
    return torch.contiguous_format if disagreement(logits, expected) else torch.channels_last
