"""One forward pass of a model, in which every module's output and its gradient are seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.inputs.models.attention_inside import inside_of_attention
from xai_eval.inputs.models.begun import begun_within
from xai_eval.inputs.models.gradient_graph import Node, ancestors
from xai_eval.inputs.models.layout import leading_tensor
from xai_eval.inputs.models.place_weights import only_weighing


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a module that has returned.

    Attributes:
        name: name of the module.
        output: what it returned, if that is a tensor or begins with one.
        version: PyTorch's count of in-place changes of the output when it was returned.
        wrapped: whether it returned a tuple or list that begins with the output.
        traced: whether a gradient could be traced through the output when it was returned. An autograd function that
            switches gradients off inside may give it one later, which pytorch-grad-cam does not see.
    """

    name: str
    output: Tensor
    version: int
    wrapped: bool
    traced: bool


@dataclass(frozen=True, eq=False)
class TracedPass:
    """A forward pass on a batch (N, C, H, W).

    Attributes:
        calls: all calls that returned a tensor, in the order in which they returned.
        score: what the model returned, (N, C).
        image: the batch, to which gradients can be traced.
    """

    calls: tuple[Call, ...]
    score: Tensor
    image: Tensor

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How often each module was called."""
        return Counter(call.name for call in self.calls)

    @cached_property
    def nodes(self) -> frozenset[Node]:
        """All nodes of the graph of gradients of the scores."""
        return frozenset(ancestors(self.score.grad_fn))

    @cached_property
    def inside_attention(self) -> frozenset[str]:
        """Names of the modules whose output only serves to weigh places against each other."""
        return self._made_by(inside_of_attention(self.score))

    @cached_property
    def only_weighing(self) -> frozenset[str]:
        """Names of the modules whose output only says how much places count, such as attention pooling and gates."""
        return self._made_by(only_weighing(self.score))

    def _made_by(self, nodes: Container[Node]) -> frozenset[str]:
        return frozenset(call.name for call in self.calls if call.output.grad_fn in nodes)

    @cached_property
    def gradients(self) -> Mapping[str, Tensor]:
        """By name of a module, the gradient of the first image's largest score to its last output, if it has one.

        The score of one class may be constant, because those of the others are relative to it. Then it is that of the
        next one.
        """
        known = {call.name: call.output for call in self.calls if call.traced}
        if not known or not self.score.requires_grad:
            return {}
        largest = self._gradients(self.score[0].max(), known)
        if self.score.shape[1] == 1 or any(bool(each.any()) for each in largest.values()):
            return largest
        return self._gradients(self.score[0].topk(2).values[1], known)

    def _gradients(self, score: Tensor, known: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = torch.autograd.grad(score, list(known.values()), allow_unused=True, retain_graph=True)
        return {name: gradient for name, gradient in zip(known, found, strict=True) if gradient is not None}

    def output(self, layer: str) -> Tensor:
        """Return the last output of a module that was called."""
        return next(call.output for call in reversed(self.calls) if call.name == layer)

    def gradient(self, number: Tensor, output: Tensor) -> Tensor:
        """Return the gradient of a number of the pass to the output of a module; 0 if there is none."""
        (found,) = torch.autograd.grad(number, output, allow_unused=True, retain_graph=True)
        return torch.zeros_like(output) if found is None else found

    @property
    def gradients_at_places(self) -> list[Tensor]:
        """The gradients of outputs that have places; (N, C) has none."""
        return [each for each in self.gradients.values() if each.dim() > 2]

    @property
    def is_differentiable(self) -> bool:
        """Whether a gradient, be it 0, gets from the scores to any output with places."""
        return bool(self.gradients_at_places)


def is_the_same_everywhere(gradient: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether a gradient (c, h, w) is the same at every place, as after the last layer before an average.

    Args:
        gradient: the gradient.
        tolerance: largest difference, as a share of the largest number.
    """
    of_place = gradient.flatten(1)
    return bool(((of_place - of_place[:, :1]).abs() <= tolerance * of_place.abs().max()).all())


@dataclass
class _Seen:
    calls: list[Call] = field(default_factory=list)

    def offer(self, name: str, output: Any) -> None:
        tensor = leading_tensor(output)
        if tensor is not None:
            self.calls.append(Call(name, tensor, _version(tensor), tensor is not output, tensor.requires_grad))


def _version(tensor: Tensor) -> int:
    # A tensor that was made in inference mode counts no changes.
    return 0 if tensor.is_inference() else tensor._version


def differentiable_pass(model: nn.Module, parts: nn.Module, batch: Tensor, layer: str = "") -> TracedPass:
    """Trace as `traced_pass` does; if the scores have no gradient at the image, from where they have one.

    A model may switch gradients off in its first layers. Those behind have gradients all the same, which class
    activation maps are computed from.

    Args:
        model: returns scores (N, C).
        parts: the model itself, or the module that it wraps.
        batch: prepared images. It is not changed.
        layer: name of a layer that is to have a gradient in any case, be it beside a branch that passes gradients on.
    """
    found = traced_pass(model, parts, batch)
    if found.score.requires_grad and (not layer or layer in found.gradients):
        return found
    begins = (layer,) if found.score.requires_grad else [name for name, _ in parts.named_modules() if name]
    return traced_pass(model, parts, batch, begins)


def traced_pass(model: nn.Module, parts: nn.Module, batch: Tensor, begins: Collection[str] = ()) -> TracedPass:
    """Run `model` on a batch and trace the modules of `parts`, by their names in it.

    Args:
        model: returns scores (N, C).
        parts: the model itself, or the module that it wraps. Its parameters should not
            require gradients.
        batch: prepared images. It is not changed.
        begins: names of modules from which gradients are traced if none are traced through them.
    """
    # A clone of a leaf may be written into by the model, and still passes gradients on.
    given = batch.detach().clone().requires_grad_(batch.is_floating_point())
    try:
        return _run(model, parts, given, begins)
    except KeyboardInterrupt:
        raise
    except BaseException:
        # Some models run without gradients only. If this one fails for another reason, it fails again.
        with torch.no_grad():
            return _run(model, parts, batch.detach(), ())


def _run(model: nn.Module, parts: nn.Module, batch: Tensor, begins: Collection[str]) -> TracedPass:
    seen = _Seen()
    with _watching(parts, seen, begins):
        score = model(batch.clone())
    return TracedPass(tuple(seen.calls), score, batch)


@contextmanager
def _watching(parts: nn.Module, seen: _Seen, begins: Collection[str]) -> Iterator[None]:
    def watch(name: str, part: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def offer(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            traced = begun_within(output) if name in begins else output
            seen.offer(name, traced)
            return traced

        return part.register_forward_hook(offer)

    handles = [watch(name, part) for name, part in parts.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
