"""The precisions in which a model may be asked to compute, by the names that people give and results record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xai_eval.errors import unknown_name

DEFAULT, HIGHEST, TF32, BFLOAT16, FLOAT16 = "default", "highest", "tf32", "bfloat16", "float16"
PRECISIONS = (DEFAULT, HIGHEST, TF32, BFLOAT16, FLOAT16)
HALVES = (BFLOAT16, FLOAT16)
# The entry of a provenance; a result of single precision has none, and so has every result from before there was one.
AUTOCAST = "autocast"


def check_precision(name: str) -> str:
    """Return a name that is known. Raises UsageError, with the nearest names, if it is not."""
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return name


def in_half(recorded: Mapping[str, Any]) -> bool:
    """Whether a result was computed under autocast, by the precision that its provenance records."""
    return bool(recorded.get(AUTOCAST))


def same_precision(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two results were computed in the same precision, by what both record of it.

    What only one of them records, such as a flag of GPUs, tells no difference; autocast is always told.
    """
    both = set(one) & set(other)
    return one.get(AUTOCAST) == other.get(AUTOCAST) and all(one[name] == other[name] for name in both)
