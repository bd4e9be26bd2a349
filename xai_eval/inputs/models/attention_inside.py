"""Tell which outputs of modules are the inside of an attention: queries, keys, values, heads.

They have the shape of tokens, and often the width of the tokens themselves, but the network never adds to them or reads
them as features of a place: they only serve to weigh the places against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

Node = Any  # A node of PyTorch's graph of gradients, which has no public type.

_PROJECTIONS = ("Addmm", "Mm", "Convolution", "Linear", "MkldnnLinear")


def inside_of_attention(score: Tensor) -> set[Node]:
    """Return the nodes of the graph of `score` that lie between a projection and a product of two activations.

    Attention multiplies activations with activations: queries with keys, and weights with values. All other layers
    multiply them with weights. So the graph is searched for such products, and from each one back to the projections
    that made its factors. Parameters must not require gradients; so a factor that is a parameter has no node.

    Args:
        score: result of a forward pass whose input required a gradient.
    """
    found: set[Node] = set()
    for product in (node for node in _ancestors(score.grad_fn) if _multiplies_activations(node)):
        waiting = list(_sources(product))
        while waiting:
            node = waiting.pop()
            if node in found or _multiplies_activations(node):
                continue
            found.add(node)
            if not node.name().startswith(_PROJECTIONS):
                waiting += _sources(node)
    return found


def _multiplies_activations(node: Node) -> bool:
    name = node.name()
    return ("ScaledDotProduct" in name or name.startswith(("Bmm", "Baddbmm", "Mm"))) and len(list(_sources(node))) > 1


def _sources(node: Node) -> Iterator[Node]:
    yield from (source for source, _ in node.next_functions if source is not None)


def _ancestors(node: Node | None) -> Iterator[Node]:
    waiting, seen = [node] if node is not None else [], set()
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            yield current
            waiting += _sources(current)
