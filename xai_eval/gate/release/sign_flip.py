"""Exact test of paired differences, and its interval, with no assumption but symmetry about the centre.

If the differences are symmetric about t, each could as well have lain on the other side of t. Fisher (1935) and Pitman
(1937) compare the mean with the means of all 2^n ways to flip the signs of d - t. Flipping the subset S makes the mean
no smaller exactly if the mean of d over S is at most t. So the means of all subsets (the typical values of Hartigan
1969) answer for every t at once: counting those below t is the test, and the k-th smallest is the end of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# 65,535 subsets take milliseconds. Above this number of differences, subsets are drawn.
MOST_EXACT = 16
DRAWS = 20_000
_SEED = 20261126
# Subset means that should equal the centre differ from it by rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class SignFlip:
    """The test of one sample of differences.

    Attributes:
        mean: of the differences.
        means: those of all subsets but the empty one, or of a random sample of subsets, in ascending order.
    """

    mean: float
    means: NDArray[np.float64]

    def above(self, centre: float) -> float:
        """Return the p-value against "the differences lie about `centre` or below"."""
        return self._share(int(np.searchsorted(self.means, centre + _ROUNDING, side="right")))

    def below(self, centre: float) -> float:
        """Return the p-value against "the differences lie about `centre` or above"."""
        return self._share(len(self.means) - int(np.searchsorted(self.means, centre - _ROUNDING, side="left")))

    def low(self, level: float) -> float:
        """Return the centre below which `above` rejects at `level`; minus infinity if there are too few differences."""
        rank = self._rank(level)
        return float(self.means[rank - 1]) if rank else -np.inf

    def high(self, level: float) -> float:
        """Return the centre above which `below` rejects at `level`; infinity if there are too few differences."""
        rank = self._rank(level)
        return float(self.means[-rank]) if rank else np.inf

    def _share(self, as_extreme: int) -> float:
        """Return the p-value; the differences as they are count as one of the flips."""
        return (as_extreme + 1) / (len(self.means) + 1)

    def _rank(self, level: float) -> int:
        return int(np.floor(level * (len(self.means) + 1) + _ROUNDING))


def sign_flip(differences: NDArray[np.float64]) -> SignFlip:
    """Prepare the test of differences (n,), n of at least 1. The same differences always give the same answer."""
    means = _all_means(differences) if len(differences) <= MOST_EXACT else _drawn_means(differences)
    return SignFlip(float(differences.mean()), np.sort(means))


def _all_means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    sums, sizes = np.zeros(1), np.zeros(1)
    for each in differences:
        sums, sizes = np.concatenate([sums, sums + each]), np.concatenate([sizes, sizes + 1])
    return np.asarray(sums[1:] / sizes[1:])


def _drawn_means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    chosen = np.random.default_rng(_SEED).random((DRAWS, len(differences))) < 0.5
    # Of that many differences, practically no subset is empty; one that is counts as the whole.
    chosen[~chosen.any(axis=1)] = True
    return np.asarray((chosen @ differences) / chosen.sum(axis=1))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values (J,) for their number, as Holm 1979: the chance of any false alarm among all is kept."""
    order = np.argsort(p_values)
    scaled = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(scaled)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
