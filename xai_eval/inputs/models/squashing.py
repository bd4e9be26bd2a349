"""Find by measurement whether numbers between 0 and 1 are probabilities, or logits that happen to lie there.

The weights of the last layer are made very large, with either sign. Logits follow them out of the range. What a
sigmoid, a clamp or anything like them squashes stays inside, at one of its ends, and at the other one for the other
sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_LARGE = 1e4
_TRIED = 3  # layers, because the last one may take no part in these numbers
# Mean distance of squashed numbers from the nearer end of the range, and between the two signs.
_FARTHEST, _APART = 0.1, 0.5
_ROUNDING = 1e-6


def is_squashed(pairs: Iterable[tuple[Tensor, Tensor]]) -> bool | None:
    """Tell whether numbers are kept between 0 and 1, from what they become with large weights; None if it is unknown.

    Args:
        pairs: for each layer that was tried, the last one first, the numbers with weights of either sign.
    """
    for pair in pairs:
        both = torch.stack([each.detach().float() for each in pair])
        if bool(((both < -_ROUNDING) | (both > 1 + _ROUNDING)).any()):
            return False
        at_ends = float(torch.minimum(both, 1 - both).abs().mean()) < _FARTHEST
        if at_ends and float((both[0] - both[1]).abs().mean()) > _APART:
            return True
    return None


def at_extremes(module: nn.Module, batch: Tensor, answer: Callable[[Tensor], Any]) -> Iterator[tuple[Any, Any]]:
    """Yield what a model answers when the weights of one of its last layers are very large, with either sign.

    Args:
        module: the model. Its weights are restored after each answer.
        batch: its input. It is not changed.
        answer: runs the model.
    """
    for part in _last_with_weights(module, batch, answer):
        found = []
        for factor in (_LARGE, -_LARGE):
            try:
                with _multiplied(part, factor):
                    found.append(answer(batch.clone()))
            except KeyboardInterrupt:
                raise
            except BaseException:  # such as a check of its own for numbers that make no sense
                break
        if len(found) == 2:  # both signs
            yield found[0], found[1]


def _last_with_weights(module: nn.Module, batch: Tensor, answer: Callable[[Tensor], Any]) -> list[nn.Module]:
    finished: dict[nn.Module, None] = {}

    def seen(part: nn.Module, _inputs: Any, _output: Any) -> None:
        finished.pop(part, None)
        finished[part] = None

    handles = [part.register_forward_hook(seen) for part in module.modules() if any(True for _ in _weights(part))]
    try:
        answer(batch.clone())
    finally:
        for handle in handles:
            handle.remove()
    return list(reversed(finished))[:_TRIED]


def _weights(part: nn.Module) -> Iterator[nn.Parameter]:
    return (each for each in part.parameters(recurse=False) if each.is_floating_point())


@contextmanager
def _multiplied(part: nn.Module, factor: float) -> Iterator[None]:
    kept = [(each, each.detach().clone()) for each in _weights(part)]
    try:
        with torch.no_grad():
            for each, _ in kept:
                each.mul_(factor)
        yield
    finally:
        with torch.no_grad():
            for each, value in kept:
                each.copy_(value)
