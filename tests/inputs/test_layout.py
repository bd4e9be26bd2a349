"""The layout that is measured lays an output over the image: each place holds what was computed from its cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from xai_eval.errors import UsageError
from xai_eval.inputs.models.layers import layout_of
from xai_eval.inputs.models.layout import Layout, possible_layouts
from xai_eval.inputs.models.locality import measured_layout

FORMS = ("channels first", "channels last", "tokens", "channels before tokens", "images second")


@dataclass(frozen=True)
class Made:
    """A layer of which every place is known: the mean of a cell of the image, in other colours.

    `rest` is by how many pixels the image is larger than the cells; `follows` lets other tokens follow the whole image,
    as a class token does.
    """

    form: str
    grid: tuple[int, int]
    cell: int
    channels: int
    before: int = 0
    behind: int = 0
    rest: int = 0
    follows: bool = False
    seed: int = 0

    @property
    def batch(self) -> Tensor:
        h, w = (count * self.cell + self.rest for count in self.grid)
        return torch.randn(1, 3, h, w, generator=torch.Generator().manual_seed(self.seed))

    @property
    def batch_axis(self) -> int:
        return int(self.form == "images second")

    def places(self, image: Tensor) -> Tensor:
        colours = torch.randn(self.channels, 3, generator=torch.Generator().manual_seed(self.seed + 1))
        return torch.einsum("nchw,dc->ndhw", avg_pool2d(image, self.cell), colours)

    def tokens(self, image: Tensor) -> Tensor:
        count = self.before + self.behind
        others = torch.randn(1, count, self.channels, generator=torch.Generator().manual_seed(self.seed + 2))
        others = others.repeat(len(image), 1, 1)
        others = others + image.mean((1, 2, 3), keepdim=True)[..., 0] * self.follows
        places = self.places(image).flatten(2).transpose(1, 2)
        return torch.cat([others[:, : self.before], places, others[:, self.before :]], dim=1)

    def __call__(self, image: Tensor) -> Tensor:
        if self.form == "channels first":
            return self.places(image)
        if self.form == "channels last":
            return self.places(image).permute(0, 2, 3, 1)
        tokens = self.tokens(image)
        return {"tokens": tokens, "channels before tokens": tokens.transpose(1, 2)}.get(
            self.form, tokens.transpose(0, 1)
        )

    def found(self, output_of: Callable[[Tensor], Tensor] | None = None) -> Layout | None:
        function, batch = output_of or self, self.batch
        shape = list(function(batch).shape)
        del shape[self.batch_axis]
        layouts = possible_layouts(tuple(shape), (batch.shape[2], batch.shape[3]), self.batch_axis)
        return measured_layout(function, batch, layouts)


def made(smallest: int, largest: int = 9) -> st.SearchStrategy[Made]:
    def fit(each: Made) -> Made:
        each = replace(each, rest=each.rest % each.cell)
        # The most unequal channels: as many as there are rows or columns.
        channels = {-1: each.grid[0], -2: each.grid[1]}.get(each.channels, each.channels)
        return replace(each, channels=channels, **({"before": 0, "behind": 0} if "tokens" not in each.form else {}))

    side = st.integers(smallest, largest)
    numbers = st.sampled_from([-2, -1, 1, 2, 3, 5, 9, 16, 17, 24])
    others = st.integers(0, 4)
    return st.builds(
        Made,
        st.sampled_from(FORMS),
        st.tuples(side, side),
        st.integers(3, 6),
        numbers,
        others,
        others,
        st.integers(0, 5),
        st.booleans(),
        st.integers(0, 20),
    ).map(fit)


@given(made(5))
@example(Made("channels last", (7, 7), 4, 7))
@example(Made("tokens", (4, 4), 4, 17, before=1))
@example(Made("channels before tokens", (4, 4), 4, 17, before=1, follows=True))
@example(Made("images second", (3, 5), 4, 16, behind=2))
def test_each_place_holds_its_cell(layer: Made) -> None:
    found, batch = layer.found(), layer.batch
    assert found is not None
    assert torch.equal(found(layer(batch)), layer.places(batch))
    pair = torch.cat([batch.flip(2), batch])
    assert torch.equal(found(layer(pair)), layer.places(pair))


@settings(max_examples=50)
@given(made(1, 4))
def test_few_places_are_laid_out_right_or_not_at_all(layer: Made) -> None:
    found = layer.found()
    assert found is None or torch.equal(found(layer(layer.batch)), layer.places(layer.batch))


@settings(max_examples=50)
@given(made(5))
def test_places_in_a_random_order_have_no_layout(layer: Made) -> None:
    count = layer.grid[0] * layer.grid[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(layer.seed))

    def shuffled(image: Tensor) -> Tensor:
        places = layer.places(image).flatten(2)[:, :, order]
        return places.unflatten(2, layer.grid).permute(0, 2, 3, 1) if layer.form == "channels last" else places.mT

    assert replace(layer, form="tokens").found(shuffled) is None


@settings(max_examples=50)
@given(made(3), st.booleans())
def test_what_depends_on_no_place_has_no_layout(layer: Made, changes: bool) -> None:
    shape = layer(layer.batch).shape
    values = torch.randn(shape, generator=torch.Generator().manual_seed(layer.seed))
    if layer.form == "channels first":  # a map of this shape is taken for the output of a convolution, unmeasured
        values = values.permute(0, 2, 3, 1)
    form = "channels last" if layer.form == "channels first" else layer.form
    assert replace(layer, form=form).found(lambda image: values * (image.mean() if changes else 1)) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_precision_becomes_single_and_no_other_is_changed(dtype: torch.dtype) -> None:
    laid = Layout((2, 2), 1, maps=False)(torch.ones(1, 4, 3, dtype=dtype))
    assert laid.dtype == (dtype if dtype in (torch.float32, torch.float64) else torch.float32)


def test_a_tuple_is_laid_out_by_its_first_entry() -> None:
    tokens = torch.randn(1, 4, 3)
    layout = Layout((2, 2), 1, maps=False, wrapped=True)
    assert torch.equal(layout((tokens, None)), layout(tokens))
    with pytest.raises(ValueError, match="expected a tensor, got a dict"):
        layout({"tokens": tokens})


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (Layout((7, 5)), "maps (channels, h, w) of 7 x 5 places"),
        (Layout((7, 5), 2), "maps (h, w, channels) of 7 x 5 places"),
        (Layout((7, 5), 1, maps=False), "tokens, 7 x 5 places"),
        (Layout((7, 5), 1, 0, 1, 2, maps=False), "tokens, 7 x 5 places and 1 before and 2 behind them"),
        (Layout((7, 5), 1, maps=False, between=1), "tokens, 7 x 5 places and 1 in the middle of them"),
    ],
)
def test_a_layout_is_told_in_words(layout: Layout, told: str) -> None:
    assert str(layout) == told


class Folding(nn.Module):
    """A stem, a layer whose first axis holds `fold` groups of each image, and a head."""

    def __init__(self, fold: str, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 4, 4)
        self.layer = nn.Linear(channels, channels) if fold == "windows" else nn.Linear(channels // 2, channels // 2)
        self.head = nn.Linear(channels, 3)
        self.fold = fold

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (N, 8, 8, 8)
        n, c, h, w = x.shape
        if self.fold == "windows":
            x = x.reshape(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 3, 5, 1).reshape(n * 4, -1, c)
            return self.head(self.layer(x).reshape(n, -1, c).mean(1))
        x = x.flatten(2).mT.reshape(n, h * w, 2, c // 2).transpose(1, 2).reshape(n * 2, h * w, c // 2)
        return self.head(self.layer(x).reshape(n, 2, h * w, c // 2).mean(2).flatten(1))


@pytest.mark.parametrize(
    ("fold", "one", "two"), [("windows", "4, 16, 8", "8, 16, 8"), ("heads", "2, 64, 4", "4, 64, 4")]
)
def test_windows_and_heads_in_the_batch_axis_are_refused(fold: str, one: str, two: str) -> None:
    net = Folding(fold).eval()
    message = rf"'layer' of mine returns \({one}\) for one image and \({two}\) for two: its first axis counts windows"
    with pytest.raises(UsageError, match=message):
        layout_of(net, net, "mine", "layer", torch.randn(1, 3, 32, 32))


class SequenceFirst(nn.Module):
    """Tokens (tokens, N, C), as `nn.TransformerEncoderLayer` takes them by default, behind a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.layer = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).permute(2, 0, 1)
        return self.head(self.layer(torch.cat([tokens.mean(0, keepdim=True), tokens])).mean(0))


def test_images_on_the_second_axis_are_found() -> None:
    net = SequenceFirst().eval()
    batch = torch.randn(1, 3, 32, 24)
    layout = layout_of(net, net, "mine", "layer", batch)
    assert layout == Layout((8, 6), 1, batch=1, before=1, maps=False)
    expected = torch.nn.functional.conv2d(net.stem(batch), net.layer.weight[:, :, None, None], net.layer.bias)
    torch.testing.assert_close(
        layout(net.layer(torch.cat([torch.zeros(1, 1, 8), net.stem(batch).flatten(2).permute(2, 0, 1)]))), expected
    )


def test_a_given_grid_is_used_and_a_wrong_one_refused() -> None:
    net = SequenceFirst().eval()
    batch = torch.randn(1, 3, 32, 32)
    assert layout_of(net, net, "mine", "layer", batch, (8, 8)).grid == (8, 8)
    with pytest.raises(
        UsageError, match=r"has 4 x 4 places, but it returns \(65, 1, 8\), which lies over the image as 8 x 8"
    ):
        layout_of(net, net, "mine", "layer", batch, (4, 4))


def test_a_given_grid_needs_no_measurement() -> None:
    """A layer that mixes all places: that it lies over the image shows in no answer, so the user's word counts."""

    class Mixing(SequenceFirst):
        def forward(self, x: Tensor) -> Tensor:
            tokens = self.stem(x).flatten(2).mT
            return self.head(self.layer(tokens.mean(1, keepdim=True) * torch.linspace(1, 2, 64)[None, :, None]).mean(1))

    net, batch = Mixing().eval(), torch.randn(1, 3, 32, 32)
    with pytest.raises(UsageError, match="give the grid of its places with --reshape"):
        layout_of(net, net, "mine", "layer", batch)
    assert layout_of(net, net, "mine", "layer", batch, (8, 8)) == Layout((8, 8), 1, maps=False)


@pytest.mark.parametrize("side", [2, 4])
def test_places_in_the_order_of_windows_have_no_layout(side: int) -> None:
    layer = Made("tokens", (8, 8), 4, 8)

    def windowed(image: Tensor) -> Tensor:
        windows = layer.places(image).unflatten(3, (8 // side, side)).unflatten(2, (8 // side, side))
        return windows.permute(0, 2, 4, 3, 5, 1).reshape(len(image), 64, 8)

    assert layer.found(windowed) is None


class Turned(nn.Module):
    """Turns the image before its only layer, whose channels are too many to be places."""

    def __init__(self, turn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.turn, self.layer = turn, nn.Conv2d(3, 40, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.turn(x)).mean((2, 3))


def _layout_of_turned(turn: Callable[[Tensor], Tensor]) -> Layout:
    net = Turned(turn)
    return layout_of(net, net, "mine", "layer", torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize(
    "turn",
    [lambda x: x.flip(3), lambda x: x.flip(2), lambda x: x.mT, lambda x: x.rot90(1, (2, 3)), lambda x: x.flip(2, 3)],
)
def test_maps_of_a_turned_image_are_refused(turn: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UsageError, match="mirrored, transposed or rotated"):
        _layout_of_turned(turn)


@pytest.mark.parametrize("turn", [lambda x: x, lambda x: x.flip(1), lambda x: x.mean((2, 3), keepdim=True) + 0 * x])
def test_maps_of_an_image_that_is_not_turned_are_taken(turn: Callable[[Tensor], Tensor]) -> None:
    assert _layout_of_turned(turn).is_plain
