"""Find how the output of a layer lies over the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.displacement import Placement, placement
from xai_eval.inputs.models.layout import HALVES, GivenLayout, Layout, Reshape, leading_tensor, possible_layouts
from xai_eval.inputs.models.locality import answers_of, is_turned, measured_layout
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent
from xai_eval.inputs.models.one_by_one import takes_one_image
from xai_eval.inputs.models.own_methods import parameters_of
from xai_eval.inputs.models.traced_pass import TracedPass, traced_pass
from xai_eval.inputs.models.unseen_border import unseen_border

_MORE_NOISE = (11, 12)  # seeds
_MAPS = 4  # axes of maps of a batch
PER_IMAGE = (
    "The model runs its layers for each image of a batch alone (a loop over images, such as for an early exit), so "
    "that a batch has no single output of a layer. Wrap it in a module that refuses more than one image "
    "(assert len(images) == 1): then images are given to it one by one."
)


def layout_of(
    module: nn.Module,
    parts: nn.Module,
    name: str,
    layer: str,
    batch: Tensor,
    reshape: tuple[int, int] | Reshape | None = None,
) -> Layout:
    """Find how the output of a layer lies over the image.

    Args:
        module: the model, which returns scores (N, C).
        parts: the module that has the layer.
        name: name of the model, for errors.
        layer: name of the layer.
        batch: a prepared image, (1, channels, H, W).
        reshape: number of rows and columns of places, or a function, if the user gave one.

    Raises:
        UsageError: the layer is not reached, is called more than once, or its output does not lie over the image.
        ModelMisbehaves: the model raises.
    """
    with tracing(module), as_model_error(name, batch.shape):
        alone = traced_pass(module, parts, batch)
        shapes = Shapes(alone, pass_of_two(module, parts, batch))
        shapes.check(layer, name)
        if callable(reshape):
            return _given_layout(reshape, output_of(module, parts, layer, batch))
        layout = laid_out(module, parts, layer, batch, layouts_of(layer, batch, shapes, reshape), reshape is not None)
        if layout is None:
            found = laid_out(module, parts, layer, batch, layouts_of(layer, batch, shapes)) if reshape else None
            raise _not_over_the_image(f"layer {layer!r} of {name}", shapes.told(layer), reshape, found)
        run = partial(output_of, module, parts, layer)
        answers = answers_of(run, batch, layout)
        if layout.is_plain and is_turned(answers, batch, layout):
            raise UsageError(
                f"layer {layer!r} of {name} returns maps of the mirrored, transposed or rotated image: a change of a "
                "part of the image shows at another place. Turn the image in the preprocessing instead of in the model."
            )
        # Where the user says what is where, that counts, and it is said if the measurement says otherwise.
        every = layouts_of(layer, batch, shapes) if reshape else ()
        measured = laid_out(module, parts, layer, batch, every) if len(every) > 1 else None
        lies = Placement() if reshape else _placement(run, batch, layout, answers)
        part = unseen_border(alone.output(layer), alone.image, layout.grid)
    how = (str(lies) if measured is None else _other_grid(layout, measured)) or part
    return replace(layout, halved=shapes.halved(layer), wrapped=shapes.wrapped(layer), misplaced=how)


def _placement(run: Callable[[Tensor], Tensor], batch: Tensor, layout: Layout, answers: Tensor) -> Placement:
    """Measure where places lie; if they are displaced, on two more images of noise, because of one it may be chance."""
    first = torch.stack([layout.placed(each) for each in answers])
    lies = placement(first)
    if lies == Placement():
        return lies
    others = (noise_like(batch, seed) for seed in _MORE_NOISE)
    more = (torch.stack([layout.placed(each) for each in answers_of(run, other, layout)]) for other in others)
    return lies if placement(sum(more, first)) != Placement() else Placement()


def _other_grid(given: Layout, measured: Layout) -> str:
    if measured.grid == given.grid:
        return ""
    (rows, columns), (h, w) = measured.grid, given.grid
    return f"by measurement it has {rows} x {columns} places, not {h} x {w} as --reshape says"


def _not_over_the_image(layer: str, shape: str, given: tuple[int, int] | None, found: Layout | None) -> UsageError:
    if given is None:
        return UsageError(
            f"{layer} returns {shape}, which does not lie over the image: a change of a part of the image does not "
            "show at its place. Choose another --layer, or give the grid of its places with --reshape ROWSxCOLUMNS."
        )
    measured = "" if found is None else f", which lies over the image as {found.grid[0]} x {found.grid[1]} places"
    return UsageError(
        f"--reshape says that {layer} has {given[0]} x {given[1]} places, but it returns {shape}{measured}. Give the "
        "grid that fits this layer, leave --reshape out, or choose another --layer."
    )


def _given_layout(reshape: Reshape, output: Tensor) -> Layout:
    laid = GivenLayout((1, 1), function=reshape)(output)
    return GivenLayout((laid.shape[2], laid.shape[3]), function=reshape)


class Shapes:
    """The shapes of all outputs, for one image and for two.

    Args:
        alone: a pass with one image.
        pair: a pass with two; None if the model takes single images only.
    """

    def __init__(self, alone: TracedPass, pair: TracedPass | None) -> None:
        self._alone = _last(alone)
        self._pair = None if pair is None else _last(pair)
        self._counts = alone.counts
        self._counts_of_two = {} if pair is None else pair.counts
        self._wrapped = {call.name for call in alone.calls if call.wrapped}

    def check(self, layer: str, model: str) -> None:
        """Raise UsageError unless a layer is called once, with a tensor that has an axis for the images."""
        if layer not in self._alone:
            raise UsageError(
                f"layer {layer!r} of {model} is not reached by a forward pass, or returns no tensor. Choose another "
                "--layer."
            )
        if self._counts[layer] > 1:
            raise UsageError(
                f"layer {layer!r} of {model} is called {self._counts[layer]} times in one pass, so it has no single "
                "output to explain. Choose another --layer."
            )
        if not self.is_real(layer):
            raise UsageError(
                f"layer {layer!r} of {model} returns a tensor of {self._alone[layer].dtype}; expected real "
                "floating-point numbers, of which alone a map can be computed. Choose another --layer."
            )
        if self.batch_axis(layer) is None and self.is_called_per_image(layer):
            raise UsageError(f"layer {layer!r} of {model} cannot be explained. {PER_IMAGE}")
        if self.batch_axis(layer) is None:
            raise UsageError(
                f"layer {layer!r} of {model} returns {self.told(layer)} for one image and "
                f"{self._told_of_two(layer)} for two: its first axis counts windows, heads or crops, not images, "
                "so that the map of one image cannot be told from those of others. Choose another --layer."
            )

    def batch_axis(self, layer: str) -> int | None:
        """The axis that has one entry for one image and two for two, and is the only one that changes."""
        one = self._alone[layer].shape
        if self._pair is None:
            return 0 if one[:1] == (1,) else None
        two = self._pair[layer].shape if layer in self._pair else ()
        changed = [axis for axis, (a, b) in enumerate(zip(one, two, strict=False)) if a != b]
        fits = len(one) == len(two) and len(changed) == 1 and (one[changed[0]], two[changed[0]]) == (1, 2)
        return changed[0] if fits else None

    def of_one_image(self, layer: str, axis: int) -> tuple[int, ...]:
        """The shape of a layer's output without the axis of the batch."""
        shape = tuple(self._alone[layer].shape)
        return shape[:axis] + shape[axis + 1 :]

    def channels(self, layer: str, layout: Layout) -> int:
        """Number of channels of a layer's output in a layout."""
        return self.of_one_image(layer, layout.batch)[layout.channels]

    def grids(self, image: tuple[int, int]) -> frozenset[tuple[int, int]]:
        """Rows and columns of the maps (1, C, h, w) of the pass, of which tokens may be cut.

        Patches that are not square make grids that do not follow from the size of the image, (H, W).
        """
        shapes = (each.shape for each in self._alone.values() if each.dim() == _MAPS and len(each) == 1)
        grids = {(rows, columns) for _, _, rows, columns in shapes}
        return frozenset(each for each in grids if each[0] <= image[0] // 2 and each[1] <= image[1] // 2)

    def is_real(self, layer: str) -> bool:
        """Whether a layer returns real numbers, which alone a map can be computed from."""
        return self._alone[layer].is_floating_point()

    def is_called_per_image(self, layer: str) -> bool:
        """Whether a layer is called for each image of a batch alone, as in a loop over images."""
        return self._counts_of_two.get(layer, 0) == 2 * self._counts[layer]

    def halved(self, layer: str) -> bool:
        """Whether the numbers of a layer's output have half precision."""
        return self._alone[layer].dtype in HALVES

    def wrapped(self, layer: str) -> bool:
        """Whether a layer returns a tuple that begins with its tensor."""
        return layer in self._wrapped

    def _told_of_two(self, layer: str) -> str:
        return str(tuple(self._pair[layer].shape)) if self._pair is not None and layer in self._pair else "nothing"

    def told(self, layer: str) -> str:
        """The shape of a layer's output for one image, as text."""
        return str(tuple(self._alone[layer].shape))


def pass_of_two(module: nn.Module, parts: nn.Module, batch: Tensor) -> TracedPass | None:
    """Trace a pass with an image twice; None if the model takes single images only."""
    if takes_one_image(module):
        return None
    try:
        return traced_pass(module, parts, batch.repeat(2, 1, 1, 1))
    except Exception:  # a model may take single images only
        return None


def _last(found: TracedPass) -> Mapping[str, Tensor]:
    return {call.name: call.output for call in found.calls}


def layouts_of(layer: str, batch: Tensor, shapes: Shapes, grid: tuple[int, int] | None = None) -> tuple[Layout, ...]:
    """Return the layouts that the shape of a layer's output allows, if a grid is given those with this grid."""
    axis = shapes.batch_axis(layer)
    if axis is None or not shapes.is_real(layer):
        return ()
    image = (batch.shape[2], batch.shape[3])
    grids = shapes.grids(image) if grid is None else {grid}
    found = possible_layouts(shapes.of_one_image(layer, axis), image, axis, grids)
    return tuple(each for each in found if grid in (None, each.grid))


def laid_out(
    module: nn.Module, parts: nn.Module, layer: str, batch: Tensor, layouts: tuple[Layout, ...], given: bool = False
) -> Layout | None:
    """Return the one of some layouts in which a layer's output lies over the image; None if there is none.

    Args:
        module: the model, which returns scores (N, C).
        parts: the module that has the layer.
        layer: name of the layer.
        batch: a prepared image, (1, channels, H, W).
        layouts: those to choose from.
        given: whether the user said that one of them is right.
    """
    # Convolutions return their maps like this, and nothing else fits: there is nothing to measure.
    if not layouts or (len(layouts) == 1 and layouts[0].is_plain):
        return layouts[0] if layouts else None
    return measured_layout(lambda changed: output_of(module, parts, layer, changed), batch, layouts, given)


def has_channels_last(module: nn.Module, part: nn.Module, batch: Tensor) -> bool:
    """Tell whether a layer returns maps (N, h, w, C); false for maps (N, C, h, w), and for all that are no maps.

    Args:
        module: the model, which returns scores (N, C).
        part: the layer.
        batch: a prepared image, (1, channels, H, W).
    """
    with evaluating(module):
        output = _output_of(module, part, batch)
        if output is None or output.dim() != 4 or len(output) != 1:
            return False
        layouts = possible_layouts(tuple(output.shape[1:]), (batch.shape[2], batch.shape[3]))
        if len(layouts) < 2 and all(each.is_plain for each in layouts):
            return False

        def run(changed: Tensor) -> Tensor:
            return _required(_output_of(module, part, changed), type(part).__name__)

        found = measured_layout(run, batch, layouts)
    return found is not None and not found.is_plain


def output_of(module: nn.Module, parts: nn.Module, layer: str, batch: Tensor) -> Tensor:
    """Run a model and return a copy of the last output of one of its layers, as it was when the layer returned it."""
    return _required(_output_of(module, dict(parts.named_modules())[layer], batch), layer)


def _output_of(module: nn.Module, part: nn.Module, batch: Tensor) -> Tensor | None:
    kept: list[Tensor | None] = []
    handle = part.register_forward_hook(lambda _module, _inputs, output: kept.append(_copied(output)))
    try:
        with torch.no_grad():
            module(batch.clone())
    finally:
        handle.remove()
    return kept[-1] if kept else None


def _required(output: Tensor | None, layer: str) -> Tensor:
    if output is None:
        raise UsageError(
            f"layer {layer!r} is reached in some passes and not in others: it is left out for some images, or the "
            "model returns an answer that it kept from an earlier pass. Switch that off in the model, or choose "
            "another --layer. The tasks attributions and lime need none."
        )
    return output


def _copied(output: object) -> Tensor | None:
    tensor = leading_tensor(output)
    return None if tensor is None else tensor.detach().clone()


def noise_image(module: nn.Module, input_shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Return noise as the input of a model, (1, channels, H, W), on its device: an image that prefers no direction."""
    parameter = next(iter(parameters_of(module)), torch.empty(0))
    dtype = parameter.dtype if parameter.is_floating_point() else torch.float32
    # No gradient can be traced through a tensor that is made in inference mode.
    with torch.inference_mode(False):
        noise = torch.randn(1, *input_shape, generator=torch.Generator().manual_seed(seed), device="cpu")
        return noise.to(parameter.device, dtype)


def noise_like(batch: Tensor, seed: int) -> Tensor:
    """Return an image of noise of the shape and type of another one, (1, channels, H, W)."""
    with torch.inference_mode(False):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch.shape, generator=generator, device="cpu").to(batch)


@contextmanager
def tracing(module: nn.Module) -> Iterator[None]:
    """Let gradients be traced through a model in evaluation mode, and leave it as it was."""
    with torch.inference_mode(False), torch.enable_grad(), evaluating(module), lent(module):
        yield


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode inside the context, and restore the mode of every module on leaving."""
    flags = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in flags:
            part.training = training
