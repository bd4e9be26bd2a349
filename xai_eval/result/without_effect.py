"""Parameters that cannot change an answer: they say how something is computed, and do not tell two cases apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# How many inputs a model gets at once. A model whose answers depend on it is refused or told when it is examined.
WITHOUT_EFFECT = frozenset({"batch_size"})


def with_effect(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters, JSON values by name, without those that cannot change an answer, on any level.

    Of a list of values to try, their number stays, because as many settings are tried.
    """
    kept = {name: value for name, value in params.items() if name not in WITHOUT_EFFECT or isinstance(value, list)}
    return {name: len(value) if name in WITHOUT_EFFECT else _inside(value) for name, value in kept.items()}


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return with_effect(value)
    return [_inside(each) for each in value] if isinstance(value, list) else value
