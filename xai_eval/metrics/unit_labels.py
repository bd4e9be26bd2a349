"""What the labels of many units come to: counts, agreement of two methods, difference of two models.

Labels are a column of text, missing (None or NaN) for a unit that has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

Labels = Sequence[str | None]


@dataclass(frozen=True)
class Agreement:
    """How far two methods give the units of a layer the same labels.

    Attributes:
        units: that both label.
        share: of these with equal labels; NaN where there are none.
        expected: that share if each method gave its labels to units at random.
        kappa: agreement beyond that, 1 at most (Cohen 1960); NaN where chance alone gives full agreement.
    """

    units: int
    share: float
    expected: float
    kappa: float


@dataclass(frozen=True)
class Difference:
    """How far the labels of two models are distributed otherwise.

    Attributes:
        distance: half the sum over labels of the difference of their shares (total variation), 0 to 1.
        p_value: probability of as large a distance if units belonged to the models at random.
    """

    distance: float
    p_value: float


def concept_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Count units by label and layer.

    Args:
        frame: one row a unit, with the columns `layer` and `label`.

    Returns:
        The columns `concept`, one a layer in the order of the frame, and `total`; most frequent first, then by name.
    """
    layers = list(dict.fromkeys(frame["layer"]))
    labelled = frame[frame["label"].notna()]
    counts = pd.crosstab(labelled["label"], labelled["layer"]).reindex(columns=layers, fill_value=0)
    counts["total"] = counts.sum(axis=1)
    ordered = counts.sort_index().sort_values("total", ascending=False, kind="stable")
    return ordered.rename_axis(columns=None).rename_axis("concept").reset_index()


def agreement(first: Labels, second: Labels) -> Agreement:
    """Compare two methods on the same units."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if pd.notna(a) and pd.notna(b)]
    if not both:
        return Agreement(0, float("nan"), float("nan"), float("nan"))
    share = float(np.mean([a == b for a, b in both]))
    one, other = (pd.Series(labels).value_counts(normalize=True) for labels in zip(*both, strict=True))
    expected = float(one.mul(other, fill_value=0.0).sum())
    kappa = (share - expected) / (1.0 - expected) if expected < 1.0 else float("nan")
    return Agreement(len(both), share, expected, kappa)


def difference(first: Labels, second: Labels, *, permutations: int = 2000, seed: int = 0) -> Difference | None:
    """Test whether the labels of two models are distributed alike; None where one of them has no label.

    Args:
        first: labels of one model's units.
        second: labels of the other's.
        permutations: how often units change models.
        seed: of the permutations.
    """
    one, other = ([label for label in labels if pd.notna(label)] for labels in (first, second))
    if not one or not other:
        return None
    codes, names = pd.factorize(np.array([*one, *other], dtype=object))
    random, size = np.random.default_rng(seed), len(names)
    observed = _distance(codes, len(one), size)
    drawn = [_distance(random.permutation(codes), len(one), size) for _ in range(permutations)]
    # Equal shares differ by rounding in another order of units.
    as_large = int(np.sum(np.array(drawn) >= observed - 1e-12))
    return Difference(observed, (1 + as_large) / (1 + permutations))


def _distance(codes: np.ndarray[tuple[int], np.dtype[np.intp]], count: int, size: int) -> float:
    one, other = (np.bincount(part, minlength=size) / len(part) for part in (codes[:count], codes[count:]))
    return float(np.abs(one - other).sum() / 2.0)
