"""Measures what an explanation costs: seconds, and rows that the model computes, in total and per method.

Tasks name the parts of their work by `part`. Nothing is measured unless somebody switched a meter on: it is a context
variable, so that no task has to pass it down to the code that does the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

Clock = Callable[[], float]


@dataclass(frozen=True)
class Cost:
    """A cost: seconds, and forward passes of the model for one image each (a batch of 32 counts as 32)."""

    seconds: float = 0.0
    passes: int = 0


@dataclass
class Meter:
    """Counts what is computed while it is switched on.

    Attributes:
        clock: returns the time in seconds.
        passes: forward passes so far.
        parts: the cost of each part, by its name, such as a method.
    """

    clock: Clock = time.monotonic
    passes: int = 0
    parts: dict[str, Cost] = field(default_factory=dict)

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Add what is computed inside the context to the part `name`."""
        started, before = self.clock(), self.passes
        try:
            yield
        finally:
            known = self.parts.get(name, Cost())
            self.parts[name] = Cost(known.seconds + self.clock() - started, known.passes + self.passes - before)


_meter: ContextVar[Meter | None] = ContextVar("cost_meter", default=None)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Say that what is computed inside the context belongs to a part of the task, such as a method."""
    meter = _meter.get()
    if meter is None:
        yield
        return
    with meter.measured(name):
        yield


@contextmanager
def metered(module: nn.Module, meter: Meter) -> Iterator[None]:
    """Switch a meter on while the context is open. It counts the rows of all batches that `module` computes.

    The class of all modules is patched, and not the module itself: a hook would be taken for a change of the model.
    """
    from torch import nn

    ordinary = nn.Module.__call__

    def call(self: nn.Module, *given: Any, **named: Any) -> Any:
        if self is module:
            meter.passes += _rows(given, named)
        return ordinary(self, *given, **named)

    token = _meter.set(meter)
    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = ordinary  # type: ignore[method-assign]
        _meter.reset(token)


def _rows(given: tuple[Any, ...], named: Mapping[str, Any]) -> int:
    batch = next((each for each in (*given, *named.values()) if hasattr(each, "shape") and len(each.shape)), None)
    return 1 if batch is None else int(batch.shape[0])
