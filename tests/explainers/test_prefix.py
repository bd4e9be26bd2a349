"""Recorded outputs are copies that keep the shape of whatever a module returns."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_eval.explainers.cam.fast.prefix import Call, DivergedError, Recording, Replaying, map_tensors, tensors

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


def recorded(*modules: nn.Module) -> list[Call]:
    recording = Recording()
    for module in modules:
        recording.call(module, lambda: torch.zeros(2, 3))
    recording.reach()
    return recording.finish()


def test_later_writes_do_not_reach_the_record() -> None:
    recording = Recording()
    output: Tensor = recording.call(nn.Identity(), lambda: torch.zeros(2))
    output += 1
    assert recording.finish()[0].output.tolist() == [0, 0]


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
    assert [call.module for call in recording.finish()] == [outer, inner]


def replaying(calls: list[Call], rows: int = 4, share: bool = False) -> Replaying:
    return Replaying(calls, recorded_rows=2, rows=rows, share=share)


def test_replay_answers_for_all_rows_then_computes() -> None:
    module = nn.Identity()
    run = replaying(recorded(module))
    assert run.call(module, lambda: None).tolist() == [[0, 0, 0]] * 4
    run.reach()
    assert run.call(module, lambda: "computed") == "computed"


def test_outputs_without_rows_are_returned_unchanged() -> None:
    module = nn.Identity()
    calls = [Call(module, {"number": torch.tensor(3.0), "embedding": torch.ones(5, 2)})]
    output = replaying(calls).call(module, lambda: None)
    assert output["number"] == 3 and output["embedding"].shape == (5, 2)
    output["embedding"].add_(1)
    assert calls[0].output["embedding"].sum() == 10


@pytest.mark.parametrize(
    ("rows", "share", "written", "stride"), [(4, True, False, 0), (4, False, False, 3), (4, True, True, 3)]
)
def test_rows_share_memory_if_nobody_writes(rows: int, share: bool, written: bool, stride: int) -> None:
    module = nn.Identity()
    calls = [Call(module, torch.zeros(2, 3), written)]
    assert replaying(calls, rows, share).call(module, lambda: None).stride(0) == stride


def test_one_row_never_shares_memory_with_the_record() -> None:
    module = nn.Identity()
    calls = [Call(module, torch.zeros(2, 3))]
    replaying(calls, rows=1, share=True).call(module, lambda: None).add_(1)
    assert not calls[0].output.any()


def test_replay_notices_other_calls() -> None:
    first, second = nn.Identity(), nn.Identity()
    run = replaying(recorded(first, second))
    with pytest.raises(DivergedError, match="another order"):
        run.call(second, lambda: None)
    run.call(first, lambda: None)
    with pytest.raises(DivergedError, match="fewer calls"):
        run.reach()


def test_the_layers_answers_come_in_order() -> None:
    run = Recording(iter([torch.zeros(1), torch.ones(1)]))
    assert [run.answer().item(), run.answer().item()] == [0, 1]
    with pytest.raises(DivergedError, match="more often"):
        run.answer()


def test_replay_notes_which_outputs_are_written_to() -> None:
    first, second = nn.Identity(), nn.Identity()
    run = replaying(recorded(first, second))
    run.call(first, lambda: None)
    run.call(second, lambda: None).add_(1)
    assert [call.written for call in run.finish()] == [False, True]
