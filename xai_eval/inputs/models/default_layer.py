"""Find the layer that a map explains if the user names none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import dropwhile

from torch import Tensor, nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.gradient_graph import Node, ancestors, is_image, is_projection
from xai_eval.inputs.models.last_attention import is_read_by_attention, read_by_last_attention
from xai_eval.inputs.models.layers import PER_IMAGE, Shapes, laid_out, layouts_of, noise_image, pass_of_two, tracing
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.own_methods import parameters_of
from xai_eval.inputs.models.traced_pass import Call, TracedPass, differentiable_pass, is_the_same_everywhere

_NAME_ONE = "Name one with --layer."
_NO_LAYER = "The tasks attributions and lime need no layer."
_TOKENS = 2  # axes of tokens of one image
_ROWS = 2  # axes of a row of numbers per image
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class DefaultLayer:
    """The layer that is explained if nobody names one.

    Attributes:
        name: its name.
        fewer: name of a later layer whose tokens are fewer and do not lie over the image; empty if there is none.
        counts: number of its tokens, and of those of the later layer.
    """

    name: str
    fewer: str = ""
    counts: tuple[int, int] = (0, 0)

    def remark(self, model: str) -> str:
        """Say why no later layer is explained, in a sentence or two; empty if nothing has to be said."""
        if not self.fewer:
            return ""
        before, after = self.counts
        return (
            f"{model}: behind layer {self.name!r}, the model prunes or merges its tokens ({before} become {after} at "
            f"{self.fewer!r}), so that those of later layers do not lie over the image. This layer is explained, as "
            "the last one of which it is known what lies where; --layer names another one. To explain a later one, "
            "switch the pruning or merging off in the model."
        )


def default_layer(
    module: nn.Module, input_shape: tuple[int, ...], parts: nn.Module | None = None, dense: int | None = None
) -> DefaultLayer:
    """Find the last layer whose output lies over the image and counts for the answer.

    Of all modules with weights (parameters, or some that are frozen into buffers) that are called once in a pass, whose
    output can be laid over the image, is not the inside of an attention (queries, keys, values, heads), the weights of
    places or the scores of a second head, and whose places receive a gradient, it is the one that finishes last. If it
    comes after the last attention, and no convolution made it from what that left, it is instead the last one that this
    attention still reads, in the same shape if there is one: attention moves what a place holds to other places.

    In models of torchvision this is `layer4.1` or `layer4.2` of a ResNet, `features.18` of MobileNetV2, and `features`
    of VGG and DenseNet; in a transformer it is the first norm of the last block, or the block before the last where
    norms come after attention. If several modules return the same tensor, it is the innermost that holds a convolution.

    It is found by a few passes on an image of noise. The model is not changed.

    Args:
        module: the model, which returns scores (N, C).
        input_shape: shape (channels, H, W) of one prepared image.
        parts: the module whose layers are meant, if `module` wraps it.
        dense: number of maps that a segmentation returns. Layers of so many channels are left out, because they hold
            the maps that are to be explained.

    Raises:
        UsageError: no submodule returns such a map.
        ModelMisbehaves: the model raises on an image of noise.
    """
    inner = module if parts is None else parts
    batch = noise_image(module, input_shape)
    with tracing(module), as_model_error(type(inner).__name__, batch.shape):
        # The pass whose gradients are taken is the last, because a pass may change buffers that an earlier one used.
        pair, alone = pass_of_two(module, inner, batch), differentiable_pass(module, inner, batch)
        search = _Search(module, inner, batch, alone, Shapes(alone, pair), dense)
        last = search.last(lambda _: True)
        if last is not None:
            # In a network that passes no gradients on, attention cannot be found.
            ends = last.call.name not in alone.gradients or _attention_follows(alone, last)
            chosen = (None if ends else _before_attention(search, last)) or last
            return search.with_fewer_tokens(chosen)
    raise UsageError(
        f"{type(inner).__name__} has no layer whose output lies over the image and receives a gradient, so there is no "
        f"default layer to explain. {_why_none(alone, search.shapes, inner)}"
    )


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer that lies over the image and counts for the answer."""

    call: Call
    layout: Layout

    @property
    def node(self) -> Node:
        return self.call.output.grad_fn


@dataclass(frozen=True, eq=False)
class _Search:
    """Looks for layers in one pass on an image of noise."""

    module: nn.Module
    parts: nn.Module
    batch: Tensor
    found: TracedPass
    shapes: Shapes
    dense: int | None
    measured: dict[str, Layout | None] = field(default_factory=dict)

    def last(self, wanted: Callable[[Call], bool], like: _Layer | None = None) -> _Layer | None:
        """Return the wanted layer that finishes last; if `like` is given, of those with its places and channels."""
        for call in filter(wanted, _candidates(self.found, self.parts)):
            layout = self._layout(call, None if like is None else self._size(like.call, like.layout))
            if layout is not None:
                return _Layer(call, layout)
        return None

    def with_fewer_tokens(self, chosen: _Layer) -> DefaultLayer:
        """Return a layer together with the first later one that holds fewer of its tokens, which lie nowhere."""
        later = dropwhile(lambda call: call is not chosen.call, self.found.calls)
        fewer = next(filter(partial(self._has_fewer, chosen), later), None)
        if fewer is None:
            return DefaultLayer(chosen.call.name)
        count = chosen.layout.places + chosen.layout.other_tokens
        return DefaultLayer(chosen.call.name, fewer.name, (count, self._tokens(fewer, chosen)))

    def _has_fewer(self, chosen: _Layer, call: Call) -> bool:
        gradient, others = self.found.gradients.get(call.name), chosen.layout.other_tokens
        if gradient is None or self.found.counts[call.name] > 1 or call.name in self.found.inside_attention:
            return False
        if not others + 1 < self._tokens(call, chosen) < chosen.layout.places + others:
            return False
        axes = gradient.movedim(chosen.layout.batch, 0)[0]
        reached = int((axes != 0).any(dim=_channels(chosen.layout)).sum())
        return reached > others + 1 and self._layout(call, None) is None

    def _tokens(self, call: Call, chosen: _Layer) -> int:
        """Return the number of tokens of a call, in the order of axes of a layer; 0 if it returns none.

        Later tokens are as wide or wider. Behind maps, wider ones may be what a head makes of the whole image.
        """
        batch, channels = chosen.layout.batch, _channels(chosen.layout)
        if self.shapes.batch_axis(call.name) != batch:
            return 0
        shape, width = self.shapes.of_one_image(call.name, batch), self.shapes.channels(chosen.call.name, chosen.layout)
        if len(shape) != _TOKENS or shape[channels] < width or (chosen.layout.maps and shape[channels] > width):
            return 0
        return shape[1 - channels]

    def _layout(self, call: Call, size: tuple[int, ...] | None) -> Layout | None:
        name = call.name
        possible = layouts_of(name, self.batch, self.shapes)
        channels = {self.shapes.channels(name, layout) for layout in possible}
        if self.dense in channels or (self.found.score.shape[1] in channels and self._is_second_head(call)):
            return None
        # Outputs of the same shape are nearly always laid out alike, so that one measurement rules out most layers.
        known = self.measured.get(self.shapes.told(name))
        usable = [
            each
            for each in (possible if known is None else (known,))
            if size in (None, self._size(call, each)) and _counts(self.found, name, each)
        ]
        if not usable:
            return None
        layout = laid_out(self.module, self.parts, name, self.batch, possible)
        self.measured.setdefault(self.shapes.told(name), layout)
        fits = layout is not None and size in (None, self._size(call, layout)) and _counts(self.found, name, layout)
        return layout if fits else None

    def _is_second_head(self, call: Call) -> bool:
        """Whether a layer of scores per class is added up to the answer together with other scores.

        So VOLO does with its auxiliary head. Nothing comes behind the layer that weighs its channels, and the answer
        depends on the image without it. A last convolution whose maps alone are averaged (SqueezeNet) is none.
        """
        node, score = call.output.grad_fn, self.found.score.grad_fn
        projections = set(filter(is_projection, self.found.nodes)) - {node}
        added = node in ancestors(score, without=projections)
        return added and any(map(is_image, ancestors(score, without={node})))

    def _size(self, call: Call, layout: Layout) -> tuple[int, ...]:
        return (self.shapes.channels(call.name, layout), *layout.grid)


def _channels(layout: Layout) -> int:
    """Return the axis of the channels in tokens behind a layer; behind maps it is the last one."""
    return 1 if layout.maps else layout.channels


def _before_attention(search: _Search, layer: _Layer) -> _Layer | None:
    """Return the last layer that the last attention before a layer reads; None if there is no such attention."""
    read = read_by_last_attention(layer.node)

    def is_read(call: Call) -> bool:
        return call.output.grad_fn in read

    found = read and (search.last(is_read, layer) or search.last(is_read))
    if not found:
        return None
    # Some products of activations are taken at each place alone. The attention meant is one before these.
    return found if _exchanges(search.found, found, layer) else _before_attention(search, found)


def _attention_follows(found: TracedPass, layer: _Layer) -> bool:
    """Whether an attention still reads a layer, such as that of a class token; none does behind an average."""
    gradient = layer.layout(found.gradients[layer.call.name])[0]
    # Before training, an attention may weigh all places nearly alike. An average weighs them exactly alike.
    return is_read_by_attention(layer.node, found.score) and not is_the_same_everywhere(gradient, tolerance=0)


def _exchanges(traced: TracedPass, earlier: _Layer, later: _Layer) -> bool:
    """Whether one place of the later layer depends on more of the earlier one than the places under it."""
    place = later.layout(later.call.output)[0, :, later.layout.grid[0] // 2, later.layout.grid[1] // 2]
    gradient = traced.gradient(place.cpu().double().square().sum(), earlier.call.output)
    reached = int((earlier.layout(gradient) != 0).any(dim=1).sum())
    rows, columns = (-(-a // b) for a, b in zip(earlier.layout.grid, later.layout.grid, strict=True))
    return reached > rows * columns


def _candidates(found: TracedPass, parts: nn.Module) -> Iterator[Call]:
    """Yield the calls of layers that may be explained, the last first; of those that return the same tensor, one."""
    modules = dict(parts.named_modules())
    inside = found.inside_attention | found.only_weighing
    outside = [call for call in found.calls if call.name not in inside]
    # grad-cam explains no model without any parameter.
    explainable = outside if _holds_parameters(parts) else []
    usable = [call for call in explainable if _holds_weights(modules[call.name])]
    for call in reversed(usable):
        same = [other for other in usable if other.output is call.output and other.version == call.version]
        # A module may hand on, much later, what another one returned, such as a block that returns several scales.
        if same[0] is not call:
            continue
        once = [other for other in same if found.counts[other.name] == 1]
        convolving = [
            other for other in once if any(isinstance(part, _CONVOLUTIONS) for part in modules[other.name].modules())
        ]
        yield from (convolving or once)[:1]


def _holds_parameters(module: nn.Module) -> bool:
    return any(parameters_of(part, recurse=False) for part in module.modules())


def _holds_weights(module: nn.Module) -> bool:
    """Whether a module has parameters, or weights that were frozen into buffers."""
    frozen = (name for name, each in module.named_buffers() if each.is_floating_point())
    return _holds_parameters(module) or any(name.rpartition(".")[2] == "weight" for name in frozen)


def _counts(found: TracedPass, layer: str, layout: Layout) -> bool:
    """Whether a gradient reaches the places of a layer; true if none reaches any layer, as in a detached model.

    A class token also has a gradient. So more positions must have one than there are tokens that are no places.
    """
    if not found.is_differentiable:
        return True
    gradient = found.gradients.get(layer)
    if gradient is None:
        return False
    reached = int((layout(gradient) != 0).any(dim=1).sum())
    return reached > layout.other_tokens


def _why_none(found: TracedPass, shapes: Shapes, parts: nn.Module) -> str:
    if found.is_differentiable and not any(bool(each.any()) for each in found.gradients_at_places):
        return (
            "All gradients of its scores are 0: are the weights of its last layer untrained zeros? Steps that round, "
            f"such as sign and round, pass no gradient either. {_NAME_ONE}"
        )
    over = [found.counts[call.name] for call in found.calls if call.output.dim() > _ROWS]
    if over and min(over) > 1:
        return (
            "All of its layers before the head are called more than once in a pass (for several scales or views of the "
            f"image, say), so none has a single output. {_NO_LAYER}"
        )
    if not _holds_parameters(parts):
        return (
            "It has no parameters at all; quantised models have none, and neither have wrappers of what another "
            f"library computes. Give the model from before it was quantised or exported. {_NO_LAYER}"
        )
    if any(not shapes.is_real(call.name) for call in found.calls):
        return f"Some of its layers return complex or whole numbers, of which no map can be computed. {_NAME_ONE}"
    if any(shapes.is_called_per_image(name) for name in found.gradients):
        return PER_IMAGE
    if all(call.output.dim() <= _ROWS for call in found.calls):
        return (
            "None of its modules returns more than a row of numbers: functions that are called without a module, and "
            "layers in a plain list instead of an nn.ModuleList, cannot be found, and none is called for an answer "
            f"that was kept from an earlier pass. {_NAME_ONE} {_NO_LAYER}"
        )
    if any(shapes.batch_axis(name) is None for name in found.gradients):
        return f"The first axis of some of its layers counts windows, heads or crops instead of images. {_NAME_ONE}"
    if any(call.output.dim() == 1 + _TOKENS for call in found.calls):
        return f"If it has tokens, name a layer of them with --layer, and their grid with --reshape. {_NO_LAYER}"
    return f"{_NAME_ONE} {_NO_LAYER}"
