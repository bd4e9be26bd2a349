"""Run only what follows a layer: what the model calls before it is recorded once and replayed.

Works on any `nn.Module` without tracing it. The model's own `forward` runs in every pass; only the modules
that it calls before the layer answer from a recording instead of computing. Whether that reproduces the model
is measured before it is relied on (`PrefixReplay.verify`): the code between the modules can do anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.explainers.overrides import Forward, overridden_forward
from xai_eval.explainers.prefix import Call, DivergedError, Recording, Replaying, map_tensors
from xai_eval.explainers.reproduction import disagreement


class PrefixReplay:
    """Records the first pass of a model, and in every later one replays what came before the layer.

    A later pass runs the recorded batch again or, after `select`, a batch of copies of one of its images.
    `trusted` turns false, with a warning, once the model does not behave as recorded; from then on every
    pass computes everything.
    """

    def __init__(self, model: nn.Module, target: nn.Module) -> None:
        self.trusted = True
        self._model = model
        self._target = target
        self._pass: Recording | Replaying | None = None
        self._recording = Recording()
        self._inputs = self._logits = torch.empty(0)
        self._image: int | None = None
        self._rows = 0
        self._share = False

    @contextmanager
    def installed(self) -> Iterator[PrefixReplay]:
        """Override the `forward` of the modules concerned, and put back what was there on leaving."""
        with ExitStack() as stack:
            stack.enter_context(overridden_forward(self._model, self._run_model))
            stack.enter_context(overridden_forward(self._target, self._run_target))
            stack.callback(self._target.register_forward_hook(self._note_answer).remove)
            for module in _skippable(self._model, self._target):
                stack.enter_context(overridden_forward(module, self._skipping(module)))
            yield self

    def select(self, image: int, rows: int) -> None:
        """Make the following passes replay `rows` copies of one image of the recorded batch."""
        self._image, self._rows = image, rows

    def reach(self) -> None:
        """Say that the layer, or what stands in its place, is about to answer: what follows is computed."""
        if self._pass is not None:
            self._pass.reach()

    def answer(self) -> Any:
        """Return what the layer answered to this call in the recorded pass, for the batch being run."""
        assert isinstance(self._pass, Replaying)
        return self._pass.answer()

    def verify(self, image: int) -> None:
        """Replay two copies of one image and compare their logits with the recorded ones.

        Whatever stands in the layer's place must give its `answer` meanwhile. The first replay hands out
        copies, and sees which of them the model writes to. The second shares memory between the rows wherever
        it can; a model that does not bear it gets copies from then on.
        """
        if self.trusted:
            self.select(image, rows=2)
            self._share = False
            if failure := self._failure(image):
                self._distrust(failure)
            else:
                self._share = True
                self._share = not self._failure(image)

    def _failure(self, image: int) -> str:
        """Say how a replay of two copies of one image fails to give its logits; empty where it does not."""
        try:
            logits = self._model(self._inputs[[image, image]])
        except Exception as error:  # what fails for real fails again, and is raised, when all is computed
            return f"{type(error).__name__}: {error}"
        return disagreement(logits, self._logits[[image, image]])

    def _distrust(self, why: str) -> None:
        self.trusted = False
        warnings.warn(
            f"{type(self._model).__name__}: what it computes before the layer cannot be replayed ({why}). "
            "Every pass computes the whole model instead: the same answer, but slow.",
            RuntimeWarning,
            stacklevel=2,
        )

    def _run_model(self, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            if not len(self._logits):
                return self._record(forward, *args, **kwargs)
            if self.trusted:
                try:
                    return self._replay(forward, *args, **kwargs)
                except DivergedError as reason:
                    self._distrust(str(reason))
            return forward(*args, **kwargs)

        return run

    def _record(self, forward: Forward, images: Tensor, *args: Any, **kwargs: Any) -> Any:
        self._inputs = images.detach().clone()
        self._pass = self._recording
        try:
            logits = forward(images, *args, **kwargs)
        finally:
            self._pass = None
        self._logits = logits.detach().clone()
        return logits

    def _replay(self, forward: Forward, *args: Any, **kwargs: Any) -> Any:
        self._pass = replaying = Replaying(self._recording, self._fit)
        try:
            logits = forward(*args, **kwargs)
        finally:
            self._pass = None
        replaying.note_writes()
        if self._image is None and (difference := disagreement(logits, self._logits)):
            raise DivergedError(difference)
        return logits

    def _run_target(self, forward: Forward) -> Forward:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.reach()
            return forward(*args, **kwargs)

        return run

    def _note_answer(self, target: nn.Module, _: Any, output: Any) -> None:
        if isinstance(self._pass, Recording):
            self._pass.answered(target, output)

    def _skipping(self, module: nn.Module) -> Callable[[Forward], Forward]:
        def wrap(forward: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                if self._pass is None:
                    return forward(*args, **kwargs)
                return self._pass.call(module, lambda: forward(*args, **kwargs))

            return run

        return wrap

    def _fit(self, call: Call) -> Any:
        """Make the recorded output of a call fit the batch that is being run."""
        image, rows = self._image, self._rows
        # One row alone is a plain view of the record, which nothing would protect from being written to.
        share = self._share and not call.written and rows > 1

        def fit(leaf: Tensor) -> Tensor:
            if image is None or leaf.dim() == 0 or len(leaf) != len(self._inputs):
                return leaf.clone()
            repeated = leaf[image : image + 1].expand(rows, *leaf.shape[1:])
            return repeated if share else repeated.clone(memory_format=torch.contiguous_format)

        return map_tensors(fit, call.output)


def _skippable(model: nn.Module, target: nn.Module) -> list[nn.Module]:
    """List the modules that can be called without calling the target."""
    return [part for part in model.modules() if not any(inner is target for inner in part.modules())]
