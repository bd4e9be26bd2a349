"""Run only what follows a layer: what the model calls before it is recorded once an image and replayed.

Works on any `nn.Module` without tracing it. The model's own `forward` runs in every pass; only the modules
that it calls before the layer answer from a recording instead of computing. Whether that reproduces the model
is measured before it is relied on: the code between the modules can do anything.
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

# Kernels for one row round differently from those for many. Recorded with two, the prefix is, at the usual number of
# threads, to the last bit what the library computes with 32.
RECORDED_ROWS = 2
# Not the recorded number, so that what depends on the number shows.
VERIFIED_ROWS = 3


@dataclass
class _Watched:
    """What a whole pass was given and gave: images (N, ...), logits (N, classes), the layer's outputs (N, ...)."""

    images: Tensor
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    answers: list[Tensor] = field(default_factory=list)


class PrefixReplay:
    """Watches a model's passes until `learn` is called, and from then on replays what comes before the layer.

    A pass after `learn(index)` is taken for copies of that image of the last batch watched. `trusted` turns
    false, with a warning, once the model does not behave as recorded; from then on all is computed.
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

    @contextmanager
    def installed(self) -> Iterator[PrefixReplay]:
        """Override the `forward` of the modules concerned, and put back what was there on leaving."""
        with ExitStack() as stack:
            stack.enter_context(overridden_forward(self._model, self._run_model))
            stack.enter_context(overridden_forward(self._target, self._run_target))
            stack.callback(self._target.register_forward_hook(self._watch_target).remove)
            for module in _skippable(self._model, self._target):
                stack.enter_context(overridden_forward(module, self._run_skippable(module)))
            yield self

    def learn(self, index: int) -> None:
        """Record what precedes the layer for one image of the watched batch, and verify that replaying works.

        Whatever stands in the layer's place must give its `answer` meanwhile. The first replay hands out
        copies, and sees which of them the model writes to. The second shares memory between the rows wherever
        it can; a model that does not bear it gets copies from then on.
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
        """Say that the layer, or what stands in its place, is about to answer: what follows is computed."""
        if self._pass is not None:
            self._pass.reach()

    def answer(self) -> Tensor:
        """Return what the layer answered to this call in the watched pass, for every row of the present one."""
        assert self._pass is not None
        return self._pass.answer()

    def _failure(self, rows: int) -> str:
        """Say how a pass over copies of the image fails to give its logits; empty where it does not."""
        image = [self._index] * rows
        images = self._watched.images[image]
        try:
            # Past the model's own hooks, which have seen these images already.
            logits = self._follow(rows, lambda: self._forward(images))
        except Exception as error:  # what fails for real fails again, and is raised, when all is computed
            return f"{type(error).__name__}: {error}"
        return disagreement(logits, self._watched.logits[image])

    def _distrust(self, why: str) -> None:
        self.trusted = False
        warnings.warn(
            f"{type(self._model).__name__}: what it computes before the layer cannot be replayed ({why}). "
            "Every pass computes the whole model instead: the same answer, but slow.",
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
        """Run one pass over copies of the image: recording if it is the first, else replaying."""
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
                    return forward(*args, **kwargs)
                return self._pass.call(module, lambda: forward(*args, **kwargs))

            return run

        return wrap


def _skippable(model: nn.Module, target: nn.Module) -> list[nn.Module]:
    """List the modules that can be called without calling the target."""
    return [part for part in model.modules() if not any(inner is target for inner in part.modules())]
