"""What a model calls before it reaches one of its layers: recorded in one pass, replayed in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Compute = Callable[[], Any]


class DivergedError(Exception):
    """A replayed pass did not take the way of the recorded one."""


@dataclass
class Call:
    """One outermost call of a module, in the order of the pass.

    `output` holds detached copies of the tensors, because in-place operations that follow must not reach it.
    `written` says that code around the modules may write into it, so every pass needs a copy of its own.
    """

    module: nn.Module
    output: Any
    written: bool = False


class Recording:
    """A pass that computes, and keeps the output of every module that finishes before the layer is reached.

    `answers` are the layer's own outputs, one for each time that it is called.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[Call] = []
        self._inside = False
        self._reached = False

    def call(self, module: nn.Module, compute: Compute) -> Any:
        """Compute and record, unless the call is part of another one or comes after the layer."""
        if self._inside or self._reached:
            return compute()
        self._inside = True
        try:
            output = compute()
        finally:
            self._inside = False
        if not self._reached:
            self.calls.append(Call(module, _kept(output)))
        return output

    def reach(self) -> None:
        """End the prefix: the layer is about to answer."""
        self._reached = True

    def answered(self, layer: nn.Module, output: Any) -> None:
        """Keep what the layer answered, its hooks included."""
        self.answers.append(Call(layer, _kept(output), written=True))


class Replaying:
    """A pass in which the recorded calls answer with what `fit` makes of their output."""

    def __init__(self, recording: Recording, fit: Callable[[Call], Any]) -> None:
        self._calls = recording.calls
        self._answers = iter(recording.answers)
        self._fit = fit
        self._next = 0
        self._handed: list[tuple[Call, Tensor, int]] = []

    def call(self, module: nn.Module, compute: Compute) -> Any:
        """Answer from the record, or compute once the record is used up."""
        if self._next == len(self._calls):
            return compute()
        call = self._calls[self._next]
        if call.module is not module:
            raise DivergedError("its modules are called in another order")
        self._next += 1
        output = self._fit(call)
        self._handed += [(call, leaf, leaf._version) for leaf in tensors(output)]
        return output

    def reach(self) -> None:
        """Check that the layer is reached after the same calls as in the recorded pass."""
        if self._next != len(self._calls):
            raise DivergedError("the layer is reached after fewer calls")

    def answer(self) -> Any:
        """Return what the layer answered to this call in the recorded pass."""
        answer = next(self._answers, None)
        if answer is None:
            raise DivergedError("the layer is called more often")
        return self._fit(answer)

    def note_writes(self) -> None:
        """Mark the calls whose output was written to since it was handed out."""
        for call, leaf, version in self._handed:
            call.written |= leaf._version != version


def _kept(output: Any) -> Any:
    return map_tensors(lambda leaf: leaf.detach().clone(), output)


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Copy nested dicts, lists and tuples with a function applied to their tensors; other leaves stay."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict | list):
        mapped = copy(tree)  # of whatever subclass, with whatever else it carries
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            mapped[key] = map_tensors(function, value)
        return mapped
    if isinstance(tree, tuple):
        items = [map_tensors(function, value) for value in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree


def tensors(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested dicts, lists and tuples."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from tensors(value)
