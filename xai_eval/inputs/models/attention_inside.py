"""Tell which outputs of modules are the inside of an attention: queries, keys, values, heads.

They have the shape of tokens, and often the width of the tokens themselves, but the network never adds to them or reads
them as features of a place: they only serve to weigh the places against each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from xai_eval.inputs.models.gradient_graph import (
    Node,
    ancestors,
    is_batched,
    is_projection,
    is_softmax,
    multiplies_activations,
    sources,
)
from xai_eval.inputs.models.place_weights import only_weighing, weighted_factors


def inside_of_attention(score: Tensor) -> set[Node]:
    """Return the nodes of the graph of `score` that lie between a projection and a product of two activations.

    Attention multiplies activations with activations: queries with keys, and weights with values. All other layers
    multiply them with weights. So the graph is searched for such products, and from each one back to the projections
    that made its factors. Parameters must not require gradients; so a factor that is a parameter has no node.

    Attention pooling makes the weights of the places from the places themselves, without a projection that makes values
    of them. So what is weighed is not inside if its own weights are projected from it.

    Args:
        score: result of a forward pass whose input required a gradient.
    """
    products = [node for node in ancestors(score.grad_fn) if multiplies_activations(node)]
    values = {value for product in products for value in weighted_factors(product)}
    others = {factor for product in products for factor in sources(product)} - values
    makers = filter(is_projection, only_weighing(score))
    read = _up_to_projections(source for node in makers for source in sources(node))
    return _up_to_projections(others) | (_up_to_projections(values) - read)


def _up_to_projections(factors: Iterable[Node]) -> set[Node]:
    """Return some nodes, and what they are made of by steps that are no projections, with the projections before."""
    found: set[Node] = set()
    waiting = [(node, False) for node in factors]
    while waiting:
        node, weighs = waiting.pop()
        if node in found or multiplies_activations(node):
            continue
        found.add(node)
        if not is_projection(node):
            waiting += [(source, weighs or is_softmax(node)) for source in sources(node)]
        elif weighs and is_batched(node):  # keys, multiplied with learned queries, which are no activations
            waiting += [(source, False) for source in sources(node)]
    return found
