"""Two labelings of units held against each other: two methods on one layer, or two models."""

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
    """How far two labelings of the same units agree.

    Attributes:
        units: how many both label.
        share: of them that have equal labels, in [0, 1]; NaN where there are none.
        chance: share expected if each method dealt its labels out at random, in [0, 1].
        kappa: (share - chance) / (1 - chance), Cohen 1960; NaN where chance alone gives 1.
    """

    units: int
    share: float
    chance: float
    kappa: float


@dataclass(frozen=True)
class DistributionTest:
    """Whether two sets of units are labelled differently.

    Attributes:
        distance: total variation between the distributions of labels, in [0, 1].
        expected: its mean over random divisions of the units; small sets differ by much without a reason.
        p: of the permutation test.
    """

    distance: float
    expected: float
    p: float


def agreement(first: Labels, second: Labels) -> LabelAgreement:
    """Compare two labelings of the same units, in the same order; None is no label.

    Raises:
        ValueError: they label another number of units.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} labels cannot be compared with {len(second)}; expected one for each unit.")
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return LabelAgreement(0, float("nan"), float("nan"), float("nan"))
    counts = [Counter(labels) for labels in zip(*pairs, strict=True)]
    share = sum(a == b for a, b in pairs) / len(pairs)
    chance = sum(counts[0][label] * counts[1][label] for label in counts[0]) / len(pairs) ** 2
    return LabelAgreement(len(pairs), share, chance, (share - chance) / (1 - chance) if chance < 1 else float("nan"))


def distribution_difference(first: Labels, second: Labels, seed: int = 0) -> DistributionTest:
    """Test whether labels are distributed differently over two sets of units, by 9,999 random divisions of all units.

    Units of one layer are not independent, so that a small p says that the sets differ, not why. None is no label.
    NaN where a set has no label.
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
    """Total variation of counts (n, L) from pooled ones, times twice the product of the sizes: whole, so ties stay."""
    return np.asarray(np.abs(first * sizes[1] - (pooled - first) * sizes[0]).sum(axis=1))
