"""Decides whether noise that was measured for a golden says anything of a result: only in the same precision. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xai_eval.result.precisions import same_precision, spoken
from xai_eval.result.result import Result
from xai_eval.store.noise import Noise


def noise_in_use(noise: Noise | None, obtained: Result, golden: Result) -> Noise | None:
    """Return the noise if result, golden and noise are of one precision; else None.

    Noise from before precisions were stored is taken for that of its golden.
    """
    now, was = obtained.provenance.precision, golden.provenance.precision
    if noise is None or not same_precision(now, was) or not same_precision(now, noise.precision or was):
        return None
    return noise


def not_in_use(keys: Sequence[str], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Say that noise is not used.

    Args:
        keys: the cases whose noise was measured in another precision than theirs.
        now: the precision of one of their results.

    Returns:
        One sentence; none without cases.
    """
    if not keys:
        return ()
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return (
        f"the noise of {keys[0]}{more} is not used, because it was measured in another precision than that of the run "
        f"({spoken(now)}). Accept goldens of that precision, and run `xai-eval calibrate` in it.",
    )
