"""Run only what follows a layer: what runs before it is recorded once and replayed.

Works on any `nn.Module` without tracing it. The model's own `forward` runs in every pass; only the modules that it
calls before the layer answer from a recording instead of computing. Whether that reproduces the model is measured
before it is relied on (`PrefixReplay.verify`), because code between the modules is not under our control.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

Forward = Callable[..., Any]

# Rounding differs between batch sizes by 1e-6 of the logits or so; a wrong replay is off by far more than this.
TOLERANCE = 1e-4


class _Diverged(Exception):
    """A replayed pass did not take the way of the recorded one."""


@dataclass
class _Call:
    """One outermost call of a module before the layer, in the order of the pass."""

    module: nn.Module
    output: Any  # tensors are detached copies: later in-place operations must not reach them
    written: bool = False  # code outside the replayed modules writes into it, so it needs memory of its own


class PrefixReplay:
    """Records the first pass of a model and replays what came before the layer in every later one.

    A later pass is either the recorded batch again, or `rows` copies of one of its images (`select`).
    `trusted` turns false, with a warning, as soon as the model does not behave as recorded; from then on
    every pass runs in full.
    """

    def __init__(self, model: nn.Module, target: nn.Module) -> None:
        self.trusted = True
        self._model = model
        self._calls: list[_Call] = []
        self._inputs: Tensor | None = None
        self._logits: Tensor | None = None
        self._prefix: _Prefix | None = None
        self._image: int | None = None
        self._rows = 0
        self._copy_all = False
        self._overrides: list[tuple[nn.Module, Callable[[Forward], Forward]]] = [
            (model, self._run_pass),
            (target, self._run_target),
            *((module, self._skipping(module)) for module in _modules_beside(model, target)),
        ]

    @contextmanager
    def installed(self) -> Iterator[PrefixReplay]:
        """Override the `forward` of the modules concerned, and put back what was there."""
        with ExitStack() as stack:
            for module, wrap in self._overrides:
                stack.enter_context(_overridden_forward(module, wrap))
            yield self

    def select(self, image: int, rows: int) -> None:
        """Make the following passes replay `rows` copies of one image of the recorded batch."""
        self._image, self._rows = image, rows

    def reached_target(self) -> None:
        """Tell that the layer, or what stands in its place, is about to answer: from here on all runs for real."""
        if self._prefix is not None:
            self._prefix.finish()

    def verify(self, image: int) -> None:
        """Replay one image twice in one batch and compare the logits with the recorded ones.

        The caller must let the layer answer with its recorded output. The first replay hands out copies and
        sees which of them are written to; the second shares memory between the rows where it can.
        """
        if not self.trusted:
            return
        self.select(image, rows=2)
        for self._copy_all in (True, False):
            failure = self._failure(image)
            if failure and self._copy_all:
                return self._distrust(failure)
            if failure:
                self._copy_all = True
                return None
        return None

    def _failure(self, image: int) -> str:
        """Say how a replay of two copies of one image differs from the recorded pass; empty where it does not."""
        assert self._inputs is not None and self._logits is not None
        try:
            logits = self._model(self._inputs[[image, image]])
        except Exception as error:  # whatever is wrong with the replay; the real pass is free to raise it again
            return f"{type(error).__name__}: {error}"
        return _difference(logits, self._logits[[image, image]])

    def _distrust(self, why: str) -> None:
        self.trusted = False
        warnings.warn(
            f"{type(self._model).__name__}: what precedes the layer cannot be replayed ({why}). "
            "The library runs the whole model for every channel instead: the same answer, but slow.",
            RuntimeWarning,
            stacklevel=2,
        )

    def _run_pass(self, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            if self._logits is None:
                return self._record(forward, *args, **kwargs)
            if self.trusted:
                try:
                    return self._replay(forward, *args, **kwargs)
                except _Diverged as reason:
                    self._distrust(str(reason))
            return forward(*args, **kwargs)

        return run

    def _record(self, forward: Forward, images: Tensor, *args: Any, **kwargs: Any) -> Any:
        self._inputs = images.detach().clone()
        self._prefix = _Recording(self._calls)
        try:
            logits = forward(images, *args, **kwargs)
        finally:
            self._prefix = None
        self._logits = logits.detach().clone()
        return logits

    def _replay(self, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        self._prefix = replaying = _Replaying(self._calls, self._hand_out)
        try:
            logits = forward(*args, **kwargs)
        finally:
            self._prefix = None
            replaying.note_writes()
        if self._image is None and (difference := _difference(logits, self._logits)):
            raise _Diverged(difference)
        return logits

    def _run_target(self, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.reached_target()
            return forward(*args, **kwargs)

        return run

    def _skipping(self, module: nn.Module) -> Callable[[Forward], Forward]:
        def wrap(forward: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                compute = lambda: forward(*args, **kwargs)  # noqa: E731
                return compute() if self._prefix is None else self._prefix.call(module, compute)

            return run

        return wrap

    def _hand_out(self, call: _Call) -> Any:
        """Return a recorded output for the batch that is being run: shared between rows unless it is written to."""
        assert self._inputs is not None
        images, image, rows = len(self._inputs), self._image, self._rows
        # One row is no repetition: a view of it would let the network write into the recording.
        copy = self._copy_all or call.written or rows == 1

        def fit(leaf: Tensor) -> Tensor:
            if image is None or leaf.dim() == 0 or len(leaf) != images:
                return leaf.clone()
            repeated = leaf[image : image + 1].expand(rows, *leaf.shape[1:])
            return repeated.clone(memory_format=torch.contiguous_format) if copy else repeated

        return _map_tensors(fit, call.output)
