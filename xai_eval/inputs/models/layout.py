"""How the output of a layer lies over the image: which axes are the places, and which tokens are none.

Convolutions return maps (N, C, h, w); some transformers return (N, h, w, C), most return tokens (N, tokens, C), with
class and register tokens in front of the places or behind them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xai_eval.errors import UsageError

Reshape = Callable[[Any], Tensor]

_MAP, _TOKENS = 3, 2
HALVES = (torch.float16, torch.bfloat16)
# Class and register tokens are few; with any number of them, every count of tokens would fit some grid.
_MOST_OTHERS = 8


@dataclass(frozen=True)
class Layout:
    """Where the places of the image are in the output of a layer.

    Attributes:
        grid: number of rows and columns of places, (h, w).
        channels: axis of the channels in the output for one image, without the axis of the batch.
        batch: axis of the batch in the output.
        before: number of tokens in front of the places, such as a class token; 0 for maps.
        behind: number of tokens behind the places; 0 for maps.
        maps: whether the output for one image has two axes of places; else its places are tokens.
        halved: whether its numbers have half precision.
        wrapped: whether the output is a tuple that begins with the tensor.
        misplaced: what is wrong with where its places lie, as a clause; empty if nothing is known to be.
        between: number of tokens between the two halves of the places, where Vision Mamba has its class token.
    """

    grid: tuple[int, int]
    channels: int = 0
    batch: int = 0
    before: int = 0
    behind: int = 0
    maps: bool = True
    halved: bool = False
    wrapped: bool = False
    misplaced: str = ""
    between: int = 0

    @property
    def places(self) -> int:
        """Number of places."""
        return self.grid[0] * self.grid[1]

    @property
    def is_plain(self) -> bool:
        """Whether the output is a map (N, C, h, w), as convolutions return it."""
        return self.maps and self.channels == 0 and self.batch == 0

    @property
    def is_ready(self) -> bool:
        """Whether the output can be used as a map as it is."""
        return self.is_plain and not self.halved and not self.wrapped

    @property
    def has_channels_last(self) -> bool:
        """Whether the output has its images first and its channels last, as most transformers return it."""
        return self.batch == 0 and self.channels == (2 if self.maps else 1)

    def __call__(self, output: Any) -> Tensor:
        """Lay an output of the layer over the image: (N, C, h, w), in single precision if it has less.

        Args:
            output: what the layer returns, a tensor or a tuple that begins with one.

        Raises:
            ValueError: the output is of another shape.
        """
        given = leading_tensor(output)
        if given is None:
            raise ValueError(f"expected a tensor, got a {type(output).__name__}")
        tensor = given.movedim(self.batch, 0)
        tensor = self._map(tensor) if self.maps else self._places(tensor)
        return tensor.float() if tensor.dtype in HALVES else tensor

    @property
    def other_tokens(self) -> int:
        """Number of tokens that are no places."""
        return self.before + self.between + self.behind

    @property
    def left_out(self) -> float:
        """Share of the tokens that are no places, from 0 to 1."""
        return self.other_tokens / (self.other_tokens + self.places)

    def strength(self, change: Tensor) -> Tensor:
        """Return how strong each position of a change of the output is, over all channels: (tokens,) or (h, w)."""
        strength: Tensor = change.movedim(self.batch, 0)[0].float().norm(dim=self.channels)
        return strength

    def placed(self, positions: Tensor) -> Tensor:
        """Lay one number per position, (tokens,) or (h, w), over the image: (h, w)."""
        return positions if self.maps else self._of_places(positions).reshape(self.grid)

    def others(self, positions: Tensor) -> Tensor:
        """The numbers of the tokens that are no places, (other_tokens,), of one number per position, (tokens,)."""
        if self.maps:
            return positions.new_empty(0)
        middle = positions[self._half : self._half + self.between]
        return torch.cat([positions[: self.before], middle, positions[len(positions) - self.behind :]])

    @property
    def _half(self) -> int:
        """Position behind the first half of the places."""
        return self.before + self.places // 2

    def _of_places(self, tokens: Tensor) -> Tensor:
        """Leave out of (tokens, ...) what are no places: (places, ...)."""
        if self.between:
            tokens = torch.cat([tokens[: self._half], tokens[self._half + self.between :]])
        return tokens[self.before : len(tokens) - self.behind]

    def _map(self, tensor: Tensor) -> Tensor:
        return tensor if self.channels == 0 else tensor.permute(0, 3, 1, 2)

    def _places(self, tensor: Tensor) -> Tensor:
        tokens = tensor if self.channels == 1 else tensor.transpose(1, 2)
        places = self._of_places(tokens.transpose(0, 1)).transpose(0, 1)
        return places.reshape(len(places), *self.grid, places.shape[2]).permute(0, 3, 1, 2)

    @property
    def facts(self) -> dict[str, Any]:
        """What goldens compare of the layout, as JSON values: no sentence, so that it may be described otherwise."""
        places = " x ".join(map(str, self.grid))
        if self.maps:
            return {"form": f"maps {self._order}", "places": places}
        return {"form": "tokens", "places": places, "others": [self.before, self.between, self.behind]}

    @property
    def _order(self) -> str:
        return "(channels, h, w)" if self.channels == 0 else "(h, w, channels)"

    def __str__(self) -> str:
        """Describe the layout in words."""
        h, w = self.grid
        if self.maps:
            return f"maps {self._order} of {h} x {w} places"
        told = ((self.before, "before"), (self.between, "in the middle of"), (self.behind, "behind"))
        others = [f"{n} {where}" for n, where in told if n]
        return f"tokens, {h} x {w} places" + (f" and {' and '.join(others)} them" if others else "")


@dataclass(frozen=True)
class GivenLayout(Layout):
    """The layout of a layer as a function of the user says.

    Attributes:
        function: takes the output of the layer and returns (N, C, h, w).
    """

    function: Reshape = field(kw_only=True)

    @property
    def is_plain(self) -> bool:
        """False: what the output is like is not known."""
        return False

    @property
    def has_channels_last(self) -> bool:
        """False: what the output is like is not known."""
        return False

    def __call__(self, output: Any) -> Tensor:
        """Return what the function of the user returns.

        Raises:
            UsageError: that is no tensor (N, C, h, w).
        """
        laid = self.function(output)
        if not isinstance(laid, Tensor) or laid.dim() != 4:
            got = f"a tensor of shape {tuple(laid.shape)}" if isinstance(laid, Tensor) else f"a {type(laid).__name__}"
            raise UsageError(f"the given reshape returned {got}; expected a tensor (N, channels, h, w). Correct it.")
        return laid.float() if laid.dtype in HALVES else laid

    @property
    def facts(self) -> dict[str, Any]:
        """What goldens compare of the layout: the name of the function, and how many places there are."""
        name = getattr(self.function, "__name__", "")
        return {"form": f"given {name}".rstrip(), "places": " x ".join(map(str, self.grid))}

    def __str__(self) -> str:
        """Describe the layout in words."""
        h, w = self.grid
        return f"{h} x {w} places, laid out by the given function {getattr(self.function, '__name__', '')}".rstrip()


def given_grid(given: object, model: str) -> tuple[int, int] | Reshape | None:
    """Return the `reshape` of a classifier as a tuple of rows and columns, or the function or None that it is.

    Raises:
        UsageError: it is something else.
    """
    if given is None or callable(given):
        return given
    sides = tuple(given) if isinstance(given, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(each, int) and each > 0 for each in sides):
        raise UsageError(
            f"{model}: reshape is {given!r}; expected the number of rows and columns of places, such as (14, 14), or a "
            "function from the output of the layer to (N, C, h, w). Correct it."
        )
    return sides


def leading_tensor(output: Any) -> Tensor | None:
    """Return the output of a module if it is a tensor, the first entry if it is a tuple or list, or None."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def possible_layouts(
    shape: tuple[int, ...], image: tuple[int, int], batch: int = 0, grids: Collection[tuple[int, int]] = ()
) -> tuple[Layout, ...]:
    """Return the layouts of more than one place that the shape of an output allows, the most usual first.

    Args:
        shape: of the output for one image, without the axis of the batch.
        image: (H, W) of the input.
        batch: axis of the batch in the output.
        grids: rows and columns that tokens may have besides those that square patches of the image make.
    """
    if len(shape) == _MAP:
        return tuple(_maps(shape, image, batch))
    if len(shape) == _TOKENS:
        known = {each for each in grids if max(each) > 1}
        every = sorted({*_grids(image), *known}, reverse=True)
        return tuple(layout for axis in (0, 1) for layout in _tokens(shape[axis], 1 - axis, every, known, batch))
    return ()


def _maps(shape: tuple[int, ...], image: tuple[int, int], batch: int) -> Iterator[Layout]:
    first, last = Layout(shape[1:], 0, batch), Layout(shape[:2], 2, batch)  # type: ignore[arg-type]
    fitting = [layout for layout in (first, last) if _lies_over(layout.grid, image)]
    # A map of other proportions than the image can only come from convolutions that stretch it.
    stretched = max(first.grid) > 1 and first.grid[0] <= image[0] and first.grid[1] <= image[1]
    yield from fitting or ([first] if stretched else [])


def _lies_over(grid: tuple[int, int], image: tuple[int, int]) -> bool:
    """Whether cells of one size make about this grid of an image, with one row and one column more or less."""
    if max(grid) == 1 or grid[0] > image[0] or grid[1] > image[1]:
        return False
    smallest = max(side / (count + 1) for side, count in zip(image, grid, strict=True))
    largest = min(side / (count - 1) if count > 1 else math.inf for side, count in zip(image, grid, strict=True))
    return smallest < largest


def _tokens(
    count: int, channels: int, grids: Sequence[tuple[int, int]], known: Collection[tuple[int, int]], batch: int
) -> Iterator[Layout]:
    for h, w in grids:
        others = count - h * w
        few = others <= max(_MOST_OTHERS, h * w // 4)
        # The model itself has maps of this grid, so that it may have been given many prompts besides.
        if others >= 0 and (few or ((h, w) in known and others <= h * w)):
            for before in range(others, -1, -1) if few else (others, others - 1, 1, 0):
                yield Layout((h, w), channels, batch, before, others - before, maps=False)
        if others == 1:
            yield Layout((h, w), channels, batch, maps=False, between=1)


def _grids(image: tuple[int, int]) -> set[tuple[int, int]]:
    """The grids that square patches of any size make of an image."""
    height, width = image
    found = {(height // size, width // size) for size in range(1, max(image))}
    found |= {(-(-height // size), -(-width // size)) for size in range(1, max(image))}
    return {grid for grid in found if min(grid) > 0 and max(grid) > 1}
