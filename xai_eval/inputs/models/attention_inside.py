"""Tell which outputs of modules are the inside of an attention: queries, keys, values, heads.

They have the shape of tokens, and often the width of the tokens themselves, but the network never adds to them or reads
them as features of a place: they only serve to weigh the places against each other.
"""

from __future__ import annotations

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


def inside_of_attention(score: Tensor) -> set[Node]:
    """Return the nodes of the graph of `score` that lie between a projection and a product of two activations.

    Attention multiplies activations with activations: queries with keys, and weights with values. All other layers
    multiply them with weights. So the graph is searched for such products, and from each one back to the projections
    that made its factors. Parameters must not require gradients; so a factor that is a parameter has no node.

    Args:
        score: result of a forward pass whose input required a gradient.
    """
    found: set[Node] = set()
    for product in (node for node in ancestors(score.grad_fn) if multiplies_activations(node)):
        waiting = [(node, False) for node in sources(product)]
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
