"""Which pairs of a catalogue every slow run tries: each entry in one of its tasks and models, which take turns.

An entry works by the same mechanism in each of its tasks, so one of them shows whether the gate sees it. All of them
are tried by `pytest -m "slow or thorough"`, which gives the rates of the whole catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Pair = tuple[Any, ...]


def in_turns(
    groups: Iterable[Sequence[Pair]],
    quick: Callable[..., bool] = lambda *_pair: False,
    rarely: Callable[..., bool] = lambda *_pair: False,
) -> list[Any]:
    """Return the parameters of a test: all pairs of all entries, marked by how often they are tried.

    Args:
        groups: the pairs of each entry; a pair is the entry, a task and, if there are several, a model.
        quick: says which pairs the default run tries.
        rarely: says which pairs only a thorough run tries.
    """
    return [
        pytest.param(*pair, id=_name(*pair), marks=_marks(quick(*pair), turn % len(pairs) == place, rarely(*pair)))
        for turn, pairs in enumerate(groups)
        for place, pair in enumerate(pairs)
    ]


def _marks(quick: bool, has_its_turn: bool, rare: bool) -> Any:
    return () if quick else _mark(has_its_turn and not rare)


def _mark(has_its_turn: bool) -> pytest.MarkDecorator:
    return pytest.mark.slow if has_its_turn else pytest.mark.thorough


def _name(entry: Any, task: str, *models: str) -> str:
    return "-".join([entry.name, task, *(model.removeprefix("scenes:") for model in models)])
