"""Change what a module computes for a while, without changing the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

Forward = Callable[..., Any]


@contextmanager
def overridden_forward(module: nn.Module, wrap: Callable[[Forward], Forward]) -> Iterator[None]:
    """Let `wrap(forward)` stand in for the `forward` of one module; put back what was there on leaving.

    Hooks stay in force, and so does a `forward` that was set on the instance: it is the one that is wrapped.
    """
    attributes = vars(module)
    own = attributes.get("forward")
    attributes["forward"] = wrap(module.forward)
    try:
        yield
    finally:
        if own is None:
            attributes.pop("forward", None)
        else:
            attributes["forward"] = own
