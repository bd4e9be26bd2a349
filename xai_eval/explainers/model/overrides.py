"""Replace the `forward` of a module for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

Forward = Callable[..., Any]


@contextmanager
def overridden_forward(module: nn.Module, wrap: Callable[[Forward], Forward]) -> Iterator[None]:
    """Replace the `forward` of one module by `wrap(forward)`, and restore it on leaving.

    Hooks are still called. If a `forward` was set on the instance, that one is wrapped.

    Args:
        module: the module; neither its parameters nor its class are touched.
        wrap: takes the present `forward` and returns its replacement.
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
