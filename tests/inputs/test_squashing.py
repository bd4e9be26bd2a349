"""Whether numbers between 0 and 1 are kept there: closed forms on a random linear layer, squashed and not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import hardsigmoid, normalize

from xai_eval.inputs.models.squashing import at_extremes, is_squashed

KEPT: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "by hand": lambda y: 1 / (1 + (-y).exp()),
    "by tanh": lambda y: (y.tanh() + 1) / 2,
    "hard": hardsigmoid,
    "clamp": lambda y: (y + 0.5).clamp(0, 1),
    "smoothed labels": lambda y: y.sigmoid() * 0.9 + 0.05,
    "two heads, each with a softmax": lambda y: torch.cat([y[:, :3].softmax(1), y[:, 3:].softmax(1)], 1),
    "normal distribution": lambda y: torch.special.ndtr(y),
}
# They lie there for usual numbers, and not for all.
LEFT: dict[str, Callable[[Tensor], Tensor]] = {
    "scaled": lambda y: y * 0.01 + 0.5,
    "rectified": lambda y: torch.relu(y * 0.01),
    "squared": lambda y: y.square() * 0.01,
    "exponential": lambda y: (y - 5).exp(),
}
# No number becomes 0 or 1, so that nothing is said.
UNKNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "cosine": lambda y: normalize(y, dim=1) * 0.4 + 0.5,
    "constant": lambda y: y * 0 + 0.5,
}


def _measured(function: Callable[[Tensor], Tensor], seed: int) -> bool | None:
    torch.manual_seed(seed)
    net, batch = nn.Linear(4, 6), torch.randn(1, 4)
    before = [each.detach().clone() for each in net.parameters()]
    found = is_squashed(at_extremes(net, batch, lambda given: function(net(given))))
    assert all(map(torch.equal, net.parameters(), before)), "the weights are restored"
    return found


@given(st.sampled_from(sorted(KEPT)), st.integers(0, 10**6))
def test_what_squashes_is_found(name: str, seed: int) -> None:
    assert _measured(KEPT[name], seed) is not False
    assert _measured(KEPT[name], 0) is True


@given(st.sampled_from(sorted(LEFT)), st.integers(0, 10**6))
def test_what_can_leave_the_range_is_found(name: str, seed: int) -> None:
    assert _measured(LEFT[name], seed) is False


@pytest.mark.parametrize("name", UNKNOWN)
def test_of_others_nothing_is_said(name: str) -> None:
    assert _measured(UNKNOWN[name], 0) is None


class Own(nn.Module):
    """Its last layer squashes by itself, and a layer that finishes later takes no part in the numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.weight, self.other = nn.Linear(4, 6), nn.Parameter(torch.ones(6)), nn.Linear(6, 2)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        numbers = torch.sigmoid(self.body(batch) * self.weight)
        return numbers, self.other(numbers)


def test_a_layer_beside_is_passed_over_and_a_module_may_squash_within() -> None:
    net, batch = Own(), torch.randn(1, 4)
    pairs = at_extremes(net, batch, net)
    assert is_squashed((one[0], other[0]) for one, other in pairs) is True


def test_a_model_that_refuses_such_numbers_says_nothing() -> None:
    net = nn.Linear(4, 6)

    def careful(batch: Tensor) -> Tensor:
        found = net(batch).detach()
        if float(found.abs().max()) > 100:
            raise ValueError("out of range")
        return found.sigmoid()

    assert is_squashed(at_extremes(net, torch.randn(1, 4), careful)) is None


def test_without_weights_nothing_can_be_measured() -> None:
    assert is_squashed(at_extremes(nn.Sigmoid(), torch.randn(1, 4), torch.sigmoid)) is None
