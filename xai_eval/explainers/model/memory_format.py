"""The memory format in which a model runs fastest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xai_eval.explainers.model.reproduction import disagreement


def best_memory_format(model: nn.Module, example: Tensor) -> torch.memory_format:
    """Return channels last, which convolutions prefer, if the model bears it, else the ordinary format.

    Args:
        model: the model.
        example: a prepared image, (1, 3, H, W). The model gets it twice in one batch: two rows show what one hides,
            such as a view over the batch.
    """
    batch = example.repeat(2, 1, 1, 1)
    expected = model(batch)
    try:
        logits = model(batch.contiguous(memory_format=torch.channels_last))
    except RuntimeError:  # a `view` that needs the ordinary layout
        return torch.contiguous_format
    return torch.contiguous_format if disagreement(logits, expected) else torch.channels_last
