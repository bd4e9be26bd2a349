"""What a model calls before it reaches one of its layers: recorded in one pass, replayed in others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Compute = Callable[[], Any]


class DivergedError(Exception):
    """A pass did not take the way of the one before."""


@dataclass
class Call:
    """One outermost call of a module, in the order of the pass.

    `output` holds detached copies of the tensors, because in-place operations that follow must not reach it.
    `written` says that code around the modules writes into it, so that every pass needs a copy of its own.
    """

    module: nn.Module
    output: Any
    written: bool = False


class Pass:
    """One run of a model up to a layer and beyond; `answers` are what the layer is known to answer in it."""

    def __init__(self, answers: Iterable[Tensor]) -> None:
        self._answers = iter(answers)

    def call(self, module: nn.Module, compute: Compute) -> Any:
        """Give the output of a module's call."""
        raise NotImplementedError

    def reach(self) -> None:
        """Take note that the layer is about to answer."""
        raise NotImplementedError

    def answer(self) -> Tensor:
        """Give what the layer answers to this call."""
        answer = next(self._answers, None)
        if answer is None:
            raise DivergedError("the layer is called more often")
        return answer

    def finish(self) -> list[Call]:
        """Return the calls before the layer."""
        raise NotImplementedError


class Recording(Pass):
    """A pass that computes, and keeps the output of every module that finishes before the layer is reached."""

    def __init__(self, answers: Iterable[Tensor] = ()) -> None:
        super().__init__(answers)
        self._calls: list[Call] = []
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
            self._calls.append(Call(module, map_tensors(lambda leaf: leaf.detach().clone(), output)))
        return output

    def reach(self) -> None:
        """End the prefix."""
        self._reached = True

    def finish(self) -> list[Call]:
        """Return what was recorded."""
        return self._calls


class Replaying(Pass):
    """A pass over copies of one image, in which recorded calls answer for as many rows as it has.

    Args:
        calls: recorded with `recorded_rows` copies of the image.
        rows: of this pass.
        share: let the rows share memory, unless the model writes into it.
    """

    def __init__(
        self,
        calls: list[Call],
        *,
        recorded_rows: int,
        rows: int,
        share: bool,
        answers: Iterable[Tensor] = (),
    ) -> None:
        super().__init__(answers)
        self._calls = calls
        self._recorded_rows = recorded_rows
        self._rows = rows
        self._share = share
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
        output = map_tensors(lambda leaf: self._fit(leaf, call), call.output)
        self._handed += [(call, leaf, leaf._version) for leaf in tensors(output)]
        return output

    def reach(self) -> None:
        """Check that the layer is reached after the same calls as in the recorded pass."""
        if self._next != len(self._calls):
            raise DivergedError("the layer is reached after fewer calls")

    def finish(self) -> list[Call]:
        """Mark the calls whose output was written to since it was handed out."""
        for call, leaf, version in self._handed:
            call.written |= leaf._version != version
        return self._calls

    def _fit(self, leaf: Tensor, call: Call) -> Tensor:
        if leaf.dim() == 0 or len(leaf) != self._recorded_rows:
            return leaf.clone()
        repeated = leaf[:1].expand(self._rows, *leaf.shape[1:])
        # One row alone is a plain view of the record, which nothing would protect from being written to.
        if self._share and not call.written and self._rows > 1:
            return repeated
        return repeated.clone(memory_format=torch.contiguous_format)


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
