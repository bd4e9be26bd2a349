"""The precisions in which a model may be asked to compute, by the names that people give and results record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xai_eval.errors import unknown_name

DEFAULT, HIGHEST, TF32, BFLOAT16, FLOAT16 = "default", "highest", "tf32", "bfloat16", "float16"
PRECISIONS = (DEFAULT, HIGHEST, TF32, BFLOAT16, FLOAT16)
HALVES = (BFLOAT16, FLOAT16)
# bfloat16 keeps 8 bits of a number, TF32 and float16 keep 11.
_COARSER = 8.0
# The entry of a provenance; a result of single precision has none, and so has every result from before there was one.
AUTOCAST = "autocast"
_FLAGS = ("float32_matmul", "cudnn_tf32")


def check_precision(name: str) -> str:
    """Return a name that is known. Raises UsageError, with the nearest names, if it is not."""
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return name


def in_half(recorded: Mapping[str, Any]) -> bool:
    """Whether a result was computed under autocast, by the precision that its provenance records."""
    return bool(recorded.get(AUTOCAST))


def coarseness(dtype: object) -> float:
    """Return how many times as coarsely as TF32 numbers are rounded, for what is recorded of autocast; at least 1."""
    return _COARSER if dtype == BFLOAT16 else 1.0


def same_precision(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two results were computed in the same precision, by what both record of it.

    A flag that only one of them records, such as that of a GPU, tells no difference; autocast is always told.
    """
    flags = (name for name in _FLAGS if name in one and name in other)
    return one.get(AUTOCAST) == other.get(AUTOCAST) and all(one[name] == other[name] for name in flags)


def spoken(recorded: Mapping[str, Any]) -> str:
    """Return the precision that a provenance records, as people are told it."""
    if not recorded:
        return "not recorded"
    if in_half(recorded):
        return f"{recorded[AUTOCAST]} (autocast)"
    rounded = recorded.get("float32_matmul", "highest") != "highest" or recorded.get("cudnn_tf32")
    return "float32, rounded to TF32 where torch allows it" if rounded else "float32"
