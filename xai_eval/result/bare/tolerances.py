"""What a test may say about how far a value may be from its golden, for each kind of value."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.fields import LEAST_OVERLAP, LOOSEST_MAP, SignedMapTolerance

# A share of the value's own size: of a number, or of the largest value of a column.
USUAL_SHARE = 0.01

# A number, a number by column of a table, or all that may differ of a map; None for the usual one.
Tolerance = float | SignedMapTolerance | Mapping[str, float] | None


def of_map(tolerance: Tolerance, where: str) -> SignedMapTolerance:
    """Return the tolerance of a map. A number is a share of the map's own largest value, and of its strength."""
    if tolerance is None:
        return SignedMapTolerance()
    if isinstance(tolerance, SignedMapTolerance):
        _number(tolerance.largest, where, LOOSEST_MAP)
        return tolerance
    share = _number(tolerance, where, LOOSEST_MAP)
    return SignedMapTolerance(largest=share, scale=share)


def of_mask(tolerance: Tolerance, where: str) -> float:
    """Return the smallest IoU of a mask with its golden. The tolerance is how much less than 1 that may be."""
    return 0.99 if tolerance is None else 1.0 - _number(tolerance, where, 1.0 - LEAST_OVERLAP)


def of_score(tolerance: Tolerance, value: float, where: str) -> float:
    """Return the largest absolute difference of a number: by default 1 % of it."""
    return abs(value) * USUAL_SHARE if tolerance is None else _number(tolerance, where)


def of_columns(tolerance: Tolerance, largest: Mapping[str, float], where: str) -> dict[str, float]:
    """Return the largest absolute difference by column of floats.

    Args:
        tolerance: one number for all of them, or a number by column; columns without one have the usual tolerance.
        largest: the largest absolute value of every column of floats.
        where: the call.
    """
    usual = {name: most * USUAL_SHARE for name, most in largest.items()}
    if tolerance is None:
        return usual
    if not isinstance(tolerance, Mapping):
        return dict.fromkeys(usual, _number(tolerance, where))
    require_known(tolerance, list(usual), "column of floats", where)
    return {**usual, **{name: _number(each, where) for name, each in tolerance.items()}}


def require_known(tolerance: Mapping[str, object], known: Sequence[str], kind: str, where: str) -> None:
    """Raise UsageError if a tolerance is given for something that the value does not have."""
    for name in tolerance:
        if name not in known:
            raise unknown_name(f"{kind} in the tolerance of {where}:", name, known)


def _number(tolerance: object, where: str, most: float = math.inf) -> float:
    given = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if given and 0.0 <= float(tolerance) <= min(most, sys.float_info.max):  # type: ignore[arg-type]
        return float(tolerance)  # type: ignore[arg-type]
    limit = f"from 0 to {most:g}, because two that differ by more are not the same" if most < math.inf else "from 0 on"
    raise UsageError(f"{where} got the tolerance {tolerance!r}; expected a number {limit}.")
