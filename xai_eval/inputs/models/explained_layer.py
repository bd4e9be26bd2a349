"""What a pass tells about the layer that is explained, and what people should know of it before they read a map."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from xai_eval.inputs.models.gradient_graph import Node, ancestors, is_image, is_projection
from xai_eval.inputs.models.last_attention import is_read_by_attention
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.traced_pass import Call, TracedPass, is_the_same_everywhere

# What was measured on the bundled transformers, see docs/how-to/transformers.md.
_BEST_BEFORE_ATTENTION = frozenset(("hirescam", "layercam", "scorecam"))
_BEST_BEFORE_AVERAGE = frozenset(("scorecam", "eigencam"))
_ROW = 2  # number of axes of a vector per image, (N, C)


@dataclass(frozen=True)
class ExplainedLayer:
    """What one pass told about a layer.

    Attributes:
        reached: whether a gradient reaches its places.
        averaged: whether that is the same at every place of tokens, because the network averages them behind the layer.
        attended: whether an attention reads the layer.
        beside: name of a module by which the answer depends on the image without any layer that leads to the explained
            one; empty if there is none.
    """

    reached: bool
    averaged: bool
    attended: bool
    beside: str

    @property
    def facts(self) -> dict[str, Any]:
        """What goldens compare of it: the rest depends on how a network is written that computes the same."""
        return {"gradients": self.reached}

    def __str__(self) -> str:
        """Tell whether gradients reach the layer, in words."""
        return "gradients reach its places" if self.reached else "no gradient reaches its places"


def explained_layer(found: TracedPass, layer: str, layout: Layout) -> ExplainedLayer:
    """Read from a pass what it tells about a layer.

    Args:
        found: a pass on one image.
        layer: name of the layer.
        layout: how its output lies over the image.
    """
    given = found.gradients.get(layer)
    gradient = None if given is None else layout(given)[0]
    if gradient is None or not bool(gradient.any()):
        return ExplainedLayer(False, False, False, "")
    node = next(call.output.grad_fn for call in reversed(found.calls) if call.name == layer)
    averaged = is_the_same_everywhere(gradient)
    attended = not averaged and is_read_by_attention(node, found.score)
    return ExplainedLayer(True, averaged and not layout.is_plain, attended, _beside(found, node))


def _beside(found: TracedPass, layer: Node) -> str:
    """Return the last module by which the answer depends on the image without any layer that leads to this one.

    Branches of one network have at least their first layer in common, members of an ensemble have none.
    """
    before = ancestors(layer)
    image = set(filter(is_image, before))
    others = ancestors(found.score.grad_fn, without={layer, *filter(is_projection, before)})
    if not image & others:
        return ""
    return next((call.name for call in reversed(found.calls) if _is_beside(call, layer, others - before, image)), "")


def _is_beside(call: Call, layer: Node, others: set[Node], image: set[Node]) -> bool:
    """Whether a call returned a map or tokens of the image that do not come from a layer, among the nodes `others`."""
    node = call.output.grad_fn
    if node not in others or call.output.dim() <= _ROW or call.output[0, 0].numel() == 1:
        return False
    before = ancestors(node)
    return layer not in before and bool(image & before)


def advice_on(layer: str, told: ExplainedLayer, model: str, methods: Collection[str] | None = None) -> tuple[str, ...]:
    """Return what people should know before they read a map of a layer, a sentence or two each.

    Args:
        layer: name of the layer.
        told: what a pass told about it.
        model: name of the model.
        methods: the methods that were chosen; None if there is no choice. Those that are better than others get no
            advice to take them, and where there is no choice, none is given.
    """
    others = methods is not None and not _BEST_BEFORE_ATTENTION.issuperset(methods)
    affected = methods is None or not _BEST_BEFORE_AVERAGE.issuperset(methods)
    sentences = (
        _of_average(layer, told, model) if affected else "",
        _of_attention(layer, told, model) if others else "",
        _of_others(layer, told, model),
    )
    return tuple(filter(None, sentences))


def _of_average(layer: str, told: ExplainedLayer, model: str) -> str:
    if not told.averaged:
        return ""
    return (
        f"{model}: the gradient is the same at every place of layer {layer!r}, because the network averages its tokens "
        "after it. In the bundled transformers, methods based on gradients pointed beside the object there, while "
        "scorecam and eigencam did not. If the network has attention, name the first norm of the last block by "
        "--layer, or leave --layer out; or choose another method: see docs/how-to/transformers.md."
    )


def _of_attention(layer: str, told: ExplainedLayer, model: str) -> str:
    if not told.attended:
        return ""
    return (
        f"{model}: layer {layer!r} is read by an attention. In the bundled transformers, hirescam, layercam and "
        "scorecam pointed best at such a layer; gradcam, gradcam++ and xgradcam, which average the gradient over all "
        "places, often pointed beside the object: see docs/how-to/transformers.md."
    )


def _of_others(layer: str, told: ExplainedLayer, model: str) -> str:
    if not told.beside:
        return ""
    return (
        f"{model}: a part of its answer does not depend on layer {layer!r} or on anything that leads to it, but on "
        f"{told.beside!r}, as in an ensemble of networks. Maps explain the rest alone. To explain that part, give "
        "another --layer."
    )
