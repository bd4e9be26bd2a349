"""Tell which steps of a forward pass only make weights of places, such as those of attention pooling and of gates.

Such a branch has maps that lie over the image, and it often finishes last. But its maps say how much each place counts,
and what is there is said by the maps that they are multiplied with.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from xai_eval.inputs.models.gradient_graph import (
    Node,
    ancestors,
    is_image,
    is_projection,
    multiplies_activations,
    sources,
)

_WEIGHTS = ("Softmax", "Sigmoid", "Hardsigmoid", "Softplus", "ExpBackward")


def weighted_factors(product: Node) -> Iterator[Node]:
    """Yield those factors of a product of activations that are weighed by the other one.

    A factor is a weight if it is a softmax, a sigmoid or the like that no projection follows. If both are, neither
    weighs the other: the score of a class times that of an object.
    """
    factors = list(sources(product))
    weights = [_squashed(each) is not None for each in factors]
    if len(factors) > 1 and sum(weights) == 1:
        yield from (each for each, weighs in zip(factors, weights, strict=True) if not weighs)


def only_weighing(score: Tensor) -> set[Node]:
    """Return the nodes on which a score depends through weights alone, or through the places that are sampled.

    Args:
        score: result of a forward pass whose input required a gradient.
    """
    everything = ancestors(score.grad_fn)
    ends = {end for node in everything for end in _ends(node)}
    others = ancestors(score.grad_fn, without=ends)
    # Where nothing but weights depends on the image, they are what the model looks at.
    return everything - others if any(map(is_image, others)) else set()


def _ends(node: Node) -> Iterator[Node]:
    """Yield the last steps of the weights that go into a product, or of the places that a sampling is told."""
    if node.name().startswith("GridSampler"):
        yield from (place for place, _ in node.next_functions[1:] if place is not None)
    elif node.name().startswith("Mul") or multiplies_activations(node):
        for each in weighted_factors(node):
            yield from (_squashed(other) for other in sources(node) if other is not each)


def _squashed(node: Node | None) -> Node | None:
    """Return the softmax, sigmoid or the like that a factor is, but for steps of one source; None if it is none."""
    while node is not None and not is_projection(node) and not multiplies_activations(node):
        if node.name().startswith(_WEIGHTS):
            return node
        before = list(sources(node))
        # Weights may be divided by their sum.
        node = before[0] if len(before) == 1 or (before and node.name().startswith("Div")) else None
    return None
