"""Record the modules that a model calls before it reaches one of its layers, and replay their outputs.

These calls are the prefix. `Recording` is a pass that computes and records them; `Replaying` is a pass in which the
recorded outputs stand in for computing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Compute = Callable[[], Any]


class DivergedError(Exception):
    """A pass called other modules than the recorded pass, or in another order."""


@dataclass
class Call:
    """One recorded call of a module that was not made from within another recorded call.

    Attributes:
        module: the module.
        output: what it returned, with detached copies of the tensors, so that later in-place operations do not change
            the record.
        written: whether code of the model writes into the output, so that every pass needs its own copy.
    """

    module: nn.Module
    output: Any
    written: bool = False


class Pass:
    """One run of a model.

    Args:
        answers: the known outputs of the layer, in the order of its calls, for a pass in which it is not computed.
    """

    def __init__(self, answers: Iterable[Tensor]) -> None:
        self._answers = iter(answers)

    def call(self, module: nn.Module, compute: Compute) -> Any:
        """Return the output of a call of a module; `compute` calls the module itself."""
        raise NotImplementedError

    def reach(self) -> None:
        """Note that the layer is about to be called, which ends the prefix."""
        raise NotImplementedError

    def answer(self) -> Tensor:
        """Return the known output of the layer for this call."""
        answer = next(self._answers, None)
        if answer is None:
            raise DivergedError("the layer is called more often")
        return answer

    def finish(self) -> list[Call]:
        """End the pass and return the calls before the layer."""
        raise NotImplementedError


class Recording(Pass):
    """A pass that computes, and records the output of every module that finishes before the layer is reached."""

    def __init__(self, answers: Iterable[Tensor] = ()) -> None:
        super().__init__(answers)
        self._calls: list[Call] = []
        self._inside = False
        self._reached = False

    def call(self, module: nn.Module, compute: Compute) -> Any:
        """Compute and record, unless the call is made from within another one or comes after the layer."""
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
    """A pass over copies of one image, in which recorded outputs are returned for the number of copies in the batch.

    Args:
        calls: the recorded calls.
        recorded_rows: number of copies of the image in the recorded pass.
        rows: number of copies of the image in this pass.
        share: let the rows of an output share memory, unless the model writes into it.
        answers: as in `Pass`.
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
        """Return the recorded output; compute once the record is used up."""
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
        # PyTorch refuses to write into an expanded tensor of several rows. An expanded tensor of one row is a plain
        # view of the record, into which the model could write unnoticed, so a single row is copied.
        if self._share and not call.written and self._rows > 1:
            return repeated
        return repeated.clone(memory_format=torch.contiguous_format)


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Copy nested dicts, lists and tuples, applying a function to every tensor; other values stay as they are."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict | list):
        mapped = copy(tree)  # a copy keeps subclasses and their attributes
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
