"""Recorded outputs are copies that keep the shape of whatever a module returns."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_eval.explainers.prefix import Call, DivergedError, Recording, Replaying, map_tensors, tensors

Pair = namedtuple("Pair", "first second")
ONE = torch.ones(2)


@pytest.mark.parametrize(
    "tree",
    [
        ONE,
        (ONE, 3, None),
        [ONE, [ONE]],
        {"a": ONE, "b": (ONE, "text")},
        OrderedDict(b=ONE, a=ONE),
        defaultdict(list, a=[ONE]),
        Pair(ONE, [ONE]),
        torch.max(torch.eye(2), dim=0),
        torch.Size([1, 2]),
        "text",
    ],
    ids=lambda tree: type(tree).__name__,
)
def test_trees_keep_their_types_and_other_leaves(tree: Any) -> None:
    mapped = map_tensors(lambda leaf: leaf + 1, tree)
    assert type(mapped) is type(tree)
    assert [leaf.tolist() for leaf in tensors(mapped)] == [(leaf + 1).tolist() for leaf in tensors(tree)]
    assert str(map_tensors(lambda leaf: leaf - 1, mapped)) == str(map_tensors(lambda leaf: leaf + 0, tree))


def recorded(*modules: nn.Module) -> Recording:
    recording = Recording()
    for module in modules:
        recording.call(module, lambda: torch.zeros(2))
    recording.reach()
    return recording


def test_later_writes_do_not_reach_the_record() -> None:
    recording = Recording()
    output: Tensor = recording.call(nn.Identity(), lambda: torch.zeros(2))
    output += 1
    assert recording.calls[0].output.tolist() == [0, 0]


def test_only_outermost_calls_before_the_layer_are_recorded() -> None:
    outer, inner, layer = nn.Identity(), nn.Identity(), nn.Identity()
    recording = Recording()
    recording.call(outer, lambda: recording.call(inner, lambda: torch.zeros(2)))
    with pytest.raises(ZeroDivisionError):
        recording.call(inner, lambda: 1 / 0)
    recording.call(inner, lambda: torch.zeros(2))

    def reaching() -> Tensor:
        recording.reach()
        return torch.zeros(2)

    recording.call(layer, reaching)
    recording.call(outer, lambda: torch.zeros(2))
    assert [call.module for call in recording.calls] == [outer, inner]


def test_replay_answers_then_computes() -> None:
    module = nn.Identity()
    replaying = Replaying(recorded(module), lambda call: call.output + 5)
    assert replaying.call(module, lambda: None).tolist() == [5, 5]
    replaying.reach()
    assert replaying.call(module, lambda: "computed") == "computed"


def test_replay_notices_another_way() -> None:
    first, second = nn.Identity(), nn.Identity()
    replaying = Replaying(recorded(first, second), lambda call: call.output)
    with pytest.raises(DivergedError, match="another order"):
        replaying.call(second, lambda: None)
    replaying.call(first, lambda: None)
    with pytest.raises(DivergedError, match="fewer calls"):
        replaying.reach()
    with pytest.raises(DivergedError, match="more often"):
        replaying.answer()


def test_replay_notes_which_outputs_are_written_to() -> None:
    first, second = nn.Identity(), nn.Identity()
    recording = recorded(first, second)

    def fresh(call: Call) -> Tensor:
        return call.output.clone()

    replaying = Replaying(recording, fresh)
    replaying.call(first, lambda: None)
    replaying.call(second, lambda: None).add_(1)
    replaying.note_writes()
    assert [call.written for call in recording.calls] == [False, True]
