"""Answers of metrics on inputs that never change, as a stage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.stage import Stage, StageKind

# In place of NaN, which no sketch can hold; no metric gives it.
_NOT_A_NUMBER = -7.0
_BYTES = 4  # of a text's digest that its number is made of


def answers_stage(name: str, answers: Callable[[], Iterable[float | str]]) -> dict[Stage, Fingerprint]:
    """Fingerprint the numbers and texts that `answers` gives as the stage `measures of <name>`."""
    values = np.array([_as_number(each) for each in answers()], dtype=np.float64)
    return {Stage(StageKind.MEASURES, name): fingerprint_array(np.nan_to_num(values, nan=_NOT_A_NUMBER))}


def _as_number(answer: float | str) -> float:
    """A text becomes a number in [0, 1) that any other text would not give, so that a sketch can hold it."""
    if not isinstance(answer, str):
        return float(answer)
    return int.from_bytes(hashlib.sha256(answer.encode()).digest()[:_BYTES]) / 256.0**_BYTES
