"""Where the numbers stand in the output of a model: a tensor, or an entry of a mapping, a tuple or an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from xai_eval.errors import ModelMisbehaves

NAMES_OF_LOGITS = ("logits", "out", "output", "scores", "predictions", "pred")
FEATURES_REMEDY = (
    "To explain its features themselves, say what they are compared with: --output embedding --similar-to IMAGE."
)
MOST_AXES = 2
_TOLD = 3  # entries of a tuple that a sentence spells out


def in_rows(numbers: Tensor) -> Tensor:
    """Return numbers for N images as rows: (N,) becomes (N, 1), and (N, C, 1, 1) becomes (N, C).

    A single number for a single image, as `squeeze()` makes it, becomes (1, 1).
    """
    if numbers.dim() < MOST_AXES:
        return numbers.reshape(-1, 1)
    if numbers.dim() > MOST_AXES and numbers.shape[2:].numel() == 1:
        return numbers.flatten(1)
    return numbers


def entry_of_numbers(output: Any, model: str, usual: tuple[str, ...] = NAMES_OF_LOGITS) -> tuple[str | int, ...]:
    """Return the keys and positions at which the numbers stand in an output.

    Of a mapping, that is the entry with a usual name such as `logits`, or its only tensor; of a tuple, the first entry.

    Raises:
        ModelMisbehaves: there is no tensor, or it cannot be told which one is meant.
    """
    if isinstance(output, Tensor):
        return ()
    if isinstance(output, Mapping):
        return _entry_of_mapping(output, model, usual)
    named = [name for name in usual if isinstance(getattr(output, name, None), Tensor)]
    if named:
        return (named[0],)
    if isinstance(output, tuple | list) and output and not _holds_nothing(output[0]):
        return (0, *entry_of_numbers(output[0], model, usual))
    raise ModelMisbehaves(
        f"{model} returned {told(output)}; expected a tensor (1, C) of numbers, one per class, or a mapping or tuple "
        f"with one. Wrap the model in a module that returns one score per class."
    )


def _entry_of_mapping(output: Mapping[Any, Any], model: str, usual: tuple[str, ...]) -> tuple[str | int, ...]:
    tensors = [key for key, value in output.items() if isinstance(value, Tensor)]
    named = [name for name in usual if name in tensors]
    if named or len(tensors) == 1:
        return (named[0] if named else tensors[0],)
    raise ModelMisbehaves(
        f"{model} returned a {type(output).__name__} with {_entries(output)}; expected one "
        f"called {usual[0]}, or a single tensor. Wrap the model in a module that returns one score per class, or "
        f"give it a head if it has no classes. {FEATURES_REMEDY}"
    )


def at_entry(output: Any, entry: tuple[str | int, ...]) -> Tensor:
    """Return what stands at an entry of an output."""
    for key in entry:
        output = getattr(output, key) if isinstance(key, str) and not isinstance(output, Mapping) else output[key]
    tensor: Tensor = output
    return tensor


def told(output: Any) -> str:
    """Describe an output in words, for errors."""
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, tuple | list) and output:
        listed = ", ".join(map(told, output[:_TOLD])) + (", ..." if len(output) > _TOLD else "")
        return f"a {type(output).__name__} of {len(output)} ({listed})"
    return f"a {type(output).__name__}"


def _entries(output: Mapping[Any, Any]) -> str:
    return f"the entries {', '.join(map(str, output))}" if output else "no entries"


def _holds_nothing(output: Any) -> bool:
    return not isinstance(output, Tensor | Mapping | tuple | list) and not hasattr(output, "__dict__")
