"""Read PyTorch's graph of gradients: which step of a forward pass depends on which, and what kind of step it is.

Parameters must not require gradients, so that a product with a parameter has one source only.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

Node = Any  # A node of PyTorch's graph of gradients, which has no public type.

# Linear layers of inputs with many axes are products of batches of matrices.
_WEIGHING = ("Addmm", "Mm", "Baddbmm", "Bmm", "Convolution", "Linear", "MkldnnLinear")


def sources(node: Node) -> Iterator[Node]:
    """Yield the nodes that a node directly depends on."""
    yield from (source for source, _ in node.next_functions if source is not None)


def ancestors(*nodes: Node | None, without: Container[Node] = ()) -> set[Node]:
    """Return some nodes and all that they depend on, but not what they depend on only through the nodes `without`."""
    waiting, seen = [node for node in nodes if node is not None], set()
    while waiting:
        current = waiting.pop()
        if current not in seen and current not in without:
            seen.add(current)
            waiting += sources(current)
    return seen


def is_image(node: Node) -> bool:
    """Whether a node is what the model was given: the only thing that requires a gradient and was not computed."""
    return bool(node.name() == "torch::autograd::AccumulateGrad")


def multiplies_activations(node: Node) -> bool:
    """Whether a node is a product of two matrices of activations, as only attention has it."""
    name = node.name()
    return ("ScaledDotProduct" in name or name.startswith(("Bmm", "Baddbmm", "Mm"))) and len(list(sources(node))) > 1


def is_projection(node: Node) -> bool:
    """Whether a node multiplies activations by weights, such that it makes new features from all channels."""
    # A convolution of each channel alone, as some attentions have it for queries and keys, makes none.
    return node.name().startswith(_WEIGHING) and not multiplies_activations(node) and not is_depthwise(node)


def is_softmax(node: Node) -> bool:
    """Whether a node is a softmax, as attention weighs places by it."""
    return bool(node.name().startswith("Softmax"))


def is_batched(node: Node) -> bool:
    """Whether a node is a product of two batches of matrices."""
    return bool(node.name().startswith(("Bmm", "Baddbmm")))


def is_convolution(node: Node) -> bool:
    """Whether a node is a convolution of any size."""
    return bool(node.name().startswith("Convolution"))


def is_depthwise(node: Node) -> bool:
    """Whether a node is a convolution of each channel alone."""
    return is_convolution(node) and node._saved_groups > 1 and node._saved_weight.shape[1] == 1


def mixes_neighbours(node: Node) -> bool:
    """Whether a node is a convolution that makes new features from neighbouring places and all their channels."""
    return is_convolution(node) and not is_depthwise(node) and node._saved_weight.shape[2:].numel() > 1
