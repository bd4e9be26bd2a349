"""The errors about values that cannot be checked: each names the place, what was expected, and what came instead."""

from __future__ import annotations

from xai_eval.errors import UsageError

KINDS_OF_VALUES = (
    "a map (a two-dimensional array or tensor of floats), a mask (one of bools), a number, a pandas DataFrame, or a "
    "dict of these by name"
)


def wrong_value(where: str, value: object, advice: str, expected: str = KINDS_OF_VALUES) -> UsageError:
    """Return the error for a value that cannot be checked.

    Args:
        where: the call, and the entry of its dict if it is about one.
        value: what came.
        advice: what to do next, a sentence.
        expected: what can be checked.
    """
    return UsageError(f"{where} got {described(value)}; expected {expected}. {advice}")


def described(value: object) -> str:
    """Describe a value in words: its type and, if it has them, its shape and the type of its numbers."""
    name = "None" if value is None else type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    sized = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{name}{sized}{f' and type {dtype}' if dtype is not None else ''}"
