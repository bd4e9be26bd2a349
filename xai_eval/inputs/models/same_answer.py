"""Notice when a model answers an image otherwise after many passes than before them.

A counter, a cache or statistics of its own can change a model slowly, or after a number of passes that is larger than
that of the examination. Its explanations are then those of several models, and none of them is the one that answered.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.layers import evaluating
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent


@dataclass(frozen=True, eq=False)
class FirstAnswer:
    """What a model answered before anything was explained.

    Attributes:
        batch: the prepared image, (1, channels, H, W).
        scores: its scores, (1, C).
        allowed: by how much an answer may differ, as a share of the scores; None if the model is known to be unsteady.
        changes: whether a pass changes the model's own parameters and buffers.
    """

    batch: Tensor
    scores: Tensor
    allowed: float | None
    changes: bool = False


def check_same_answer(module: nn.Module, first: FirstAnswer, name: str, after: str) -> None:
    """Ask a model for its first answer again, by one pass. Parameters and buffers are as before afterwards.

    Args:
        module: returns scores (N, C).
        first: what it answered.
        name: its name, for the error.
        after: what was done in between, as text.

    Raises:
        ModelMisbehaves: the answer differs.
    """
    if first.allowed is None:
        return
    kept = lent(module) if first.changes else nullcontext()
    with evaluating(module), kept, torch.no_grad(), as_model_error(name, first.batch.shape):
        now = module(first.batch.clone())
    difference, largest = float((now - first.scores).abs().max()), float(first.scores.abs().max())
    spread = float(first.scores.max() - first.scores.min())
    # Written so that NaN is a difference.
    if not difference <= first.allowed * max(spread, largest, 1e-6):
        raise ModelMisbehaves(
            f"{name} answers an image differently after {after} than before, by up to {difference:.3g} where its "
            f"scores reach {largest:.3g}. So passes change the model (a counter, a cache, statistics that adapt), and "
            "what was computed meanwhile explains several models in one. Let the forward pass leave the model as it "
            "is in evaluation mode."
        )
