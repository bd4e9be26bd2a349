"""A grid that cannot be that of a layer is refused for that reason, whatever the layer returns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.layers import layout_of


class Tokens(nn.Module):
    """Tokens of patches of 8 px; `maps` leaves them as maps."""

    def __init__(self, maps: bool) -> None:
        super().__init__()
        self.patches, self.shape = nn.Conv2d(3, 6, 8, 8), nn.Identity() if maps else nn.Flatten(2)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.shape(self.patches(x)).flatten(2).mean(2))


@settings(max_examples=12, deadline=None)
@given(st.tuples(st.integers(2, 9), st.integers(2, 9)), st.booleans())
def test_a_wrong_grid_is_refused_for_what_it_is(grid: tuple[int, int], maps: bool) -> None:
    torch.manual_seed(0)
    net, image = Tokens(maps).eval(), torch.randn(1, 3, 48, 48)
    if grid == (6, 6):
        assert layout_of(net, net, "mine", "shape" if not maps else "patches", image, grid).grid == grid
        return
    # A grid that leaves tokens over may be right for all that the shape says: the user knows.
    if not maps and grid[0] * grid[1] <= 36:
        return
    layer = "patches" if maps else "shape"
    with pytest.raises(UsageError) as refused:
        layout_of(net, net, "mine", layer, image, grid)
    sentence = str(refused.value)
    assert f"--reshape says that layer '{layer}' of mine has {grid[0]} x {grid[1]} places, but it returns" in sentence
    assert "which lies over the image as 6 x 6 places" in sentence and "does not lie over" not in sentence


@pytest.mark.parametrize(("grid", "said"), [((6, 6), ""), ((5, 6), "6 x 6 places, not 5 x 6 as --reshape says")])
def test_a_grid_that_leaves_tokens_over_is_taken_and_said_to_be_measured_otherwise(
    grid: tuple[int, int], said: str
) -> None:
    torch.manual_seed(0)
    net, image = Tokens(maps=False).eval(), torch.randn(1, 3, 48, 48)
    layout = layout_of(net, net, "mine", "shape", image, grid)
    assert layout.grid == grid and layout.misplaced.removeprefix("by measurement it has ") == said


def test_a_layer_without_places_says_so() -> None:
    net = Tokens(maps=True).eval()
    with pytest.raises(UsageError, match=r"7 x 7 places, but it returns \(1, 5\). Give the grid that fits"):
        layout_of(net, net, "mine", "head", torch.randn(1, 3, 48, 48), (7, 7))
