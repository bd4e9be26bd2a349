"""Two ways to follow attention from the answer back to the patches of the image.

No maintained library computes them for models of any origin, so the formulas stand here. Both functions take what
`read_attention` recorded and return a map of the patches, (1, h, w), without negative values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_eval.explainers.attribution.attention import Attention, read_attention
from xai_eval.explainers.attribution.question import Question
from xai_eval.inputs.models.precision import in_single


def attention_rollout(question: Question) -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020): the attention of all layers, multiplied. It is for no class."""
    seen = read_attention(question)
    with in_single(question.batch.device):
        return _map(rolled_out(seen.matrices), seen)


def generic_attention(question: Question) -> Tensor:
    """Gradient-weighted attention (Chefer, Gur and Wolf 2021, Generic Attention-model Explainability), for a class."""
    seen = read_attention(question)
    with in_single(question.batch.device):
        return _map(weighted_by_gradients(seen.matrices, seen.gradients), seen)


def rolled_out(matrices: Sequence[Tensor]) -> Tensor:
    """Return the product of (A + I) / 2 over all layers, the last one first, (N, N); A is the mean over the heads.

    Args:
        matrices: attention of each layer, (heads, N, N).
    """
    joined = _identity(matrices)
    for matrix in matrices:
        mean = matrix.float().mean(0)
        # The residual connection passes every token on as it is: half of what comes out.
        joined = (mean + _identity(matrices)) / 2 @ joined
    return joined


def weighted_by_gradients(matrices: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return the relevance R of tokens, (N, N): R grows by B @ R per layer, B being the head mean of max(A * dA, 0).

    Args:
        matrices: attention A of each layer, (heads, N, N).
        gradients: gradient dA of the score with respect to each of them.
    """
    relevance = _identity(matrices)
    for matrix, gradient in zip(matrices, gradients, strict=True):
        weighted = (matrix.float() * gradient.float()).clamp(min=0).mean(0)
        relevance = relevance + weighted @ relevance
    return relevance


def _identity(matrices: Sequence[Tensor]) -> Tensor:
    return torch.eye(matrices[0].shape[-1], device=matrices[0].device)


def _map(relevance: Tensor, seen: Attention) -> Tensor:
    """Return the relevance of the patches for the tokens that the answer is read from, (1, h, w).

    The answer is read from the tokens whose attention in the last layer has a gradient: the class token, or all patches
    if the model averages them. Of several, the mean is taken.
    """
    read = seen.gradients[-1].abs().sum((0, 2)) > 0
    rows = relevance[read] if read.any() else relevance
    return rows.mean(0)[seen.patches].reshape(1, *seen.grid)
