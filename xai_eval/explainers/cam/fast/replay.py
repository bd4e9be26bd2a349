"""Compute only the part of a model after one layer; what comes before it is recorded once per image and replayed.

This works on any `nn.Module` without tracing it. The model's own `forward` runs in every pass. Only the modules that it
calls before the layer return recorded outputs instead of computing. The code between the modules can do anything, so
the replayed logits are compared with the model's own before the replay is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.explainers.cam.fast.prefix import Call, DivergedError, Pass, Recording, Replaying
from xai_eval.explainers.model.overrides import Forward, overridden_forward
from xai_eval.explainers.model.reproduction import disagreement

# The prefix is recorded with two copies of the image, because kernels for one row round differently from those for
# many. With two rows and the usual number of threads, it equals what the library computes with 32 rows, bit for bit.
RECORDED_ROWS = 2
# The check uses another number of rows than the record, so that a model whose answer depends on that number is noticed.
VERIFIED_ROWS = 3


@dataclass
class _Watched:
    """A pass that computed everything: its images (N, ...), logits (N, C), and outputs of the layer (N, ...).

    `follows` are the modules that were called after the layer.
    """

    images: Tensor
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    answers: list[Tensor] = field(default_factory=list)
    follows: list[nn.Module] = field(default_factory=list)


class PrefixReplay:
    """Watches the passes of a model until `learn` is called; from then on, replays what comes before the layer.

    Every pass after `learn(index)` is taken for a batch of copies of image `index` of the last watched batch. If the
    model does not behave as recorded, `trusted` becomes false with a warning, and every pass computes the whole model.

    Args:
        model: the model, in evaluation mode.
        target: the layer up to which its modules are replayed.
    """

    def __init__(self, model: nn.Module, target: nn.Module) -> None:
        self.trusted = True
        self._model = model
        self._target = target
        self._forward: Forward = model.forward
        self._watched = _Watched(torch.empty(0))
        self._index: int | None = None
        self._calls: list[Call] | None = None
        self._pass: Pass | None = None
        self._share = False

    @property
    def follows(self) -> list[nn.Module]:
        """The modules that were called after the layer in the last watched pass."""
        return self._watched.follows

    @property
    def calls_of_layer(self) -> int:
        """How often the layer was called in the last watched pass."""
        return len(self._watched.answers)

    @contextmanager
    def installed(self) -> Iterator[PrefixReplay]:
        """Replace the `forward` of the modules concerned, and restore it on leaving."""
        with ExitStack() as stack:
            stack.enter_context(overridden_forward(self._model, self._run_model))
            stack.enter_context(overridden_forward(self._target, self._run_target))
            stack.callback(self._target.register_forward_hook(self._watch_target).remove)
            for module in _skippable(self._model, self._target):
                stack.enter_context(overridden_forward(module, self._run_skippable(module)))
            yield self

    def learn(self, index: int) -> None:
        """Record what comes before the layer for one image of the watched batch, and check that replaying works.

        Meanwhile the layer, or the module put in its place, must return `answer()`. The first replay returns copies and
        notes which of them the model writes into. The second lets the rows of an output share memory where nothing
        writes into it; if the logits are then wrong, copies are used from then on.

        Args:
            index: index of the image in the watched batch.
        """
        if not self.trusted:
            return
        self._index, self._calls, self._share = index, None, False
        failure = self._failure(RECORDED_ROWS) or self._failure(VERIFIED_ROWS)
        if failure:
            self._distrust(failure)
        else:
            self._share = True
            self._share = not self._failure(VERIFIED_ROWS)

    def reach(self) -> None:
        """Note that the layer, or the module in its place, is about to return: everything after it is computed."""
        if self._pass is not None:
            self._pass.reach()

    def answer(self) -> Tensor:
        """Return what the layer returned for this call in the watched pass, repeated for every row of this pass."""
        assert self._pass is not None
        return self._pass.answer()

    def _failure(self, rows: int) -> str:
        """Run a pass over copies of the image; describe how its logits are wrong, or return "" if they are right."""
        image = [self._index] * rows
        images = self._watched.images[image]
        try:
            # `forward` is called directly, because the model's own hooks were called for these images before.
            logits = self._follow(rows, lambda: self._forward(images))
        except Exception as error:  # if the model itself fails, the error comes again when everything is computed
            return f"{type(error).__name__}: {error}"
        return disagreement(logits, self._watched.logits[image])

    def _distrust(self, why: str) -> None:
        self.trusted = False
        warnings.warn(
            f"{type(self._model).__name__}: what it computes before the layer cannot be replayed ({why}). "
            "Every pass computes the whole model instead, which gives the same answer but is slow.",
            RuntimeWarning,
            stacklevel=2,
        )

    def _run_model(self, forward: Forward) -> Forward:
        self._forward = forward

        def run(images: Tensor, *args: Any, **kwargs: Any) -> Any:
            def compute() -> Any:
                return forward(images, *args, **kwargs)

            if self._index is None:
                return self._watch(images, compute)
            if self.trusted:
                try:
                    return self._follow(len(images), compute)
                except DivergedError as reason:
                    self._distrust(str(reason))
            return compute()

        return run

    def _watch(self, images: Tensor, compute: Callable[[], Any]) -> Any:
        self._watched = _Watched(images.detach().clone())
        logits = compute()
        self._watched.logits = logits.detach().clone()
        return logits

    def _watch_target(self, target: nn.Module, _: Any, output: Tensor) -> None:
        if self._index is None:
            self._watched.answers.append(output.detach().clone())

    def _follow(self, rows: int, compute: Callable[[], Any]) -> Any:
        """Run one pass over copies of the image: record if it is the first, else replay."""
        answers = (answer[[self._index] * rows] for answer in self._watched.answers)
        if self._calls is None:
            self._pass = Recording(answers)
        else:
            self._pass = Replaying(
                self._calls, recorded_rows=RECORDED_ROWS, rows=rows, share=self._share, answers=answers
            )
        try:
            logits = compute()
            self._calls = self._pass.finish()
        finally:
            self._pass = None
        return logits

    def _run_target(self, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.reach()
            return forward(*args, **kwargs)

        return run

    def _run_skippable(self, module: nn.Module) -> Callable[[Forward], Forward]:
        def wrap(forward: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                if self._pass is None:
                    if self._index is None and self._watched.answers:
                        self._watched.follows.append(module)
                    return forward(*args, **kwargs)
                return self._pass.call(module, lambda: forward(*args, **kwargs))

            return run

        return wrap


def _skippable(model: nn.Module, target: nn.Module) -> list[nn.Module]:
    """List the modules that can be called without calling the target."""
    return [part for part in model.modules() if not any(inner is target for inner in part.modules())]
