"""What the metrics say of labelled units that never change: so that a metric whose code changed is named as such.

What a dissection says for reading alone (p-values, qualities of labels, counts) is judged by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.false_discovery import discovery_rates, pooled_p_values
from xai_eval.metrics.label_quality import judge_label
from xai_eval.metrics.labels import agreement, distribution_difference
from xai_eval.metrics.unit_labels import (
    category_counts,
    concept_counts,
    interpretable,
    layer_summary,
    top_concepts,
    unique_concepts,
)
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.stage import Stage
from xai_eval.tasks.reference.answers import answers_stage

# None is a unit without a label; scores lie on both sides of the bound of Network Dissection, and on it.
_LABELS = ("car", "sky", "car", None, "sky", "tree", "car", "tree", "boat", "sky", None, "car")
_OTHERS = ("car", "sky", "sky", "sky", None, "tree", "car", "boat", "boat", "tree", None, "car")
_SCORES = (0.3, 0.04, 0.02, float("nan"), 0.11, 0.05, 0.2, 0.039, 0.041, 0.5, float("nan"), 0.07)
_CATEGORIES = {"car": "object", "boat": "object", "tree": "object", "sky": "scene"}


def unit_label_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint what is made of labelled units: counts, agreement, chance, and the quality of labels."""
    return answers_stage("unit labels", _answers)


def _answers() -> Iterator[float]:
    yield from _tables()
    yield from astuple(agreement(_LABELS, _OTHERS))
    yield from astuple(distribution_difference(_LABELS[:6], _OTHERS[4:], seed=3))
    p_values = pooled_p_values(np.array(_SCORES), _drawn((5, len(_SCORES))) * 0.3)
    yield from p_values
    yield from discovery_rates(p_values)
    activation, presence = _drawn((40,)), _drawn((40,)) > 0.6
    for threshold in (None, 0.5):
        yield from astuple(judge_label(activation + 0.2 * presence, presence, threshold))


def _tables() -> Iterator[float]:
    units = _units()
    yield from interpretable(units)["score"]
    for table in (layer_summary(units), concept_counts(units), category_counts(units), top_concepts(units, 3)):
        yield from table.select_dtypes("number").to_numpy(np.float64).ravel()
    yield from (len(name) for name in unique_concepts(units, leave_out=("sky",)))


@cache
def _units() -> pd.DataFrame:
    """Twelve units of two layers."""
    categories = [None if label is None else _CATEGORIES[label] for label in _LABELS]
    layers = ["layer3"] * 5 + ["layer4"] * 7
    columns = {"layer": layers, "unit": range(12), "label": _LABELS, "score": _SCORES, "category": categories}
    return pd.DataFrame(columns)


def _drawn(shape: tuple[int, ...]) -> NDArray[np.float64]:
    raw = np.random.PCG64(11).random_raw(int(np.prod(shape))).astype(np.uint64)
    return np.asarray((raw >> np.uint64(11)) / 2.0**53).reshape(shape)
