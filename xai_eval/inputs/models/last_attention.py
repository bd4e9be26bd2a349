"""Find what the last attention before a layer reads, in PyTorch's graph of gradients."""

from __future__ import annotations

from torch import Tensor

from xai_eval.inputs.models.gradient_graph import (
    Node,
    ancestors,
    is_convolution,
    mixes_neighbours,
    multiplies_activations,
    sources,
)


def read_by_last_attention(layer: Node) -> set[Node]:
    """Return all that the last attention before a layer depends on, itself left out.

    It is empty if there is no attention before the layer, or if convolutions made the layer from what attention left:
    one that mixes neighbouring places, as those of a convolutional stage, or any through which all of it passes, as the
    last one of MobileViT. Convolutions of each channel alone, beside which the tokens pass on unchanged, only tell
    transformers where a token lies.

    Args:
        layer: the node that made the output of the layer.
    """
    before = ancestors(layer)
    products = {node for node in before if multiplies_activations(node)}
    read = ancestors(*(source for node in products for source in sources(node)))
    behind = before - read - products
    if any(map(mixes_neighbours, behind)) or _all_passes_a_convolution(layer, behind):
        return set()
    return read


def is_read_by_attention(layer: Node, score: Tensor) -> bool:
    """Whether an attention on the way to the score depends on a layer."""
    products = (node for node in ancestors(score.grad_fn) if multiplies_activations(node))
    return layer in ancestors(*(source for node in products for source in sources(node)))


def _all_passes_a_convolution(layer: Node, behind: set[Node]) -> bool:
    """Whether every way back from a layer, through the nodes behind the last attention, ends at a convolution."""
    convolutions = {node for node in behind if is_convolution(node)}
    return ancestors(layer, without=convolutions) <= behind
