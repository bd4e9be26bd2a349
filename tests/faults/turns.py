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
    every: int = 1,
) -> list[Any]:
    """Return the parameters of a test: all pairs of all entries, marked by how often they are tried.

    Args:
        groups: the pairs of each entry; a pair is the entry, a task and, if there are several, a model.
        quick: says which pairs the default run tries.
        rarely: says which pairs only a thorough run tries.
        every: 2 if only every second entry has a turn, for networks that take seconds: an entry that is tried on
            small models, too, shows little there that others do not.
    """
    return [
        pytest.param(*pair, id=_name(*pair), marks=_marks(quick(*pair), has_turn and not rarely(*pair)))
        for number, pairs in enumerate(groups)
        for place, pair in enumerate(pairs)
        for has_turn in [number % every == 0 and number // every % len(pairs) == place]
    ]


def _marks(quick: bool, slow: bool) -> Any:
    return () if quick else pytest.mark.slow if slow else pytest.mark.thorough


def _name(entry: Any, task: str, *models: str) -> str:
    return "-".join([entry.name, task, *(model.removeprefix("scenes:") for model in models)])
