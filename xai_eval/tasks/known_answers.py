"""Answers of metrics on inputs that never change, as a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from xai_eval.fingerprint import Fingerprint, fingerprint_array

# In place of NaN, which no sketch can hold; no metric gives it.
_NOT_A_NUMBER = -7.0


def answers_stage(name: str, answers: Callable[[], Iterable[float]]) -> dict[str, Fingerprint]:
    """Fingerprint the numbers that `answers` gives as the stage `measures: <name>`."""
    values = np.array([float(each) for each in answers()], dtype=np.float64)
    return {f"measures: {name}": fingerprint_array(np.nan_to_num(values, nan=_NOT_A_NUMBER))}
