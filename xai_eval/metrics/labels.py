"""Compares two labellings of units, for example by two methods on one layer, or of two models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = Sequence[str | None]

PERMUTATIONS = 9_999


@dataclass(frozen=True)
class LabelAgreement:
    """How far two labellings of the same units agree.

    Attributes:
        units: number of units that both label.
        share: share of these units with equal labels, in [0, 1]; NaN without such units. Higher is more agreement.
        chance: the share expected if each method assigned its labels to units at random, in [0, 1].
        kappa: Cohen's kappa (Cohen 1960), (share - chance) / (1 - chance), at most 1; 0 is agreement by chance, and
            higher is more agreement. NaN if the chance is 1.
    """

    units: int
    share: float
    chance: float
    kappa: float


@dataclass(frozen=True)
class DistributionTest:
    """Result of a test whether the labels of two sets of units are distributed differently.

    Attributes:
        distance: total variation between the two distributions of labels, in [0, 1]; 0 if they are equal.
        expected: mean distance over random divisions of the units, in [0, 1]. It is large for small sets.
        p: p-value of the permutation test, in (0, 1].
    """

    distance: float
    expected: float
    p: float


def agreement(first: Labels, second: Labels) -> LabelAgreement:
    """Compare two labellings of the same units in the same order. None stands for a unit without a label.

    Raises:
        ValueError: the numbers of units differ.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} labels cannot be compared with {len(second)}; expected one label per unit.")
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return LabelAgreement(0, float("nan"), float("nan"), float("nan"))
    counts = [Counter(labels) for labels in zip(*pairs, strict=True)]
    share = sum(a == b for a, b in pairs) / len(pairs)
    chance = sum(counts[0][label] * counts[1][label] for label in counts[0]) / len(pairs) ** 2
    return LabelAgreement(len(pairs), share, chance, (share - chance) / (1 - chance) if chance < 1 else float("nan"))


def distribution_difference(first: Labels, second: Labels, seed: int = 0) -> DistributionTest:
    """Test whether the labels of two sets of units are distributed differently, by 9,999 random divisions of all units.

    Units of one layer are not independent of each other. A small p therefore says that the sets differ, but not why.

    Args:
        first: labels of the first set; None for a unit without a label.
        second: labels of the second set.
        seed: seed of the random divisions.

    Returns:
        The test; all values are NaN if a set has no label.
    """
    sets = [Counter(label for label in labels if label is not None) for labels in (first, second)]
    sizes = [counts.total() for counts in sets]
    if not min(sizes):
        return DistributionTest(float("nan"), float("nan"), float("nan"))
    pooled = sorted(sets[0] | sets[1])
    all_counts = np.array([sets[0][label] + sets[1][label] for label in pooled])
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(
        all_counts, sizes[0], size=PERMUTATIONS, method="marginals"
    )
    found = _distances(np.array([[sets[0][label] for label in pooled]]), all_counts, sizes)[0]
    by_chance = _distances(drawn, all_counts, sizes)
    scale = 2 * sizes[0] * sizes[1]
    p = (1 + int((by_chance >= found).sum())) / (1 + PERMUTATIONS)
    return DistributionTest(float(found / scale), float(by_chance.mean() / scale), p)


def _distances(first: NDArray[np.int64], pooled: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return total variations, (n,), times twice the product of the sizes.

    The factor makes them whole numbers, so that equal distances are exactly equal.

    Args:
        first: counts of the labels in the first set, (n, L).
        pooled: counts of the labels in both sets together, (L,).
        sizes: sizes of both sets.
    """
    return np.asarray(np.abs(first * sizes[1] - (pooled - first) * sizes[0]).sum(axis=1))
