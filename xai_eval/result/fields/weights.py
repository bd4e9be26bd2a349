"""Weights of superpixels in linear surrogates, compared as distributions over seeds."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import all_apart

# Stands in for a spread of zero, so that no ratio divides by zero.
_LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class SeedTolerance:
    """How far apart the weights of two runs may be.

    A change counts only if it is both larger than chance allows and large enough to matter.

    Attributes:
        floor: smallest difference that matters, as a share of the largest weight of the class.
        seeds: number of seeds that a mean and a spread are computed from.
        errors: largest difference of two means, in standard errors.
        ratio: largest factor between two spreads.
    """

    floor: float
    seeds: int
    errors: float
    ratio: float

    def of_means(self, deviation: float) -> float:
        """Return how far two means may differ if the weights of one seed have the standard deviation `deviation`."""
        return self.errors * deviation * math.sqrt(2 / self.seeds)


@register
@dataclass(frozen=True)
class Weights(Field):
    """Means over seeds of the weights of L classes on F superpixels.

    Attributes:
        names: names of the classes, L.
        values: mean weights, (L, F).
        spread: standard deviations over seeds, (L, F).
        tolerance: what may differ.
    """

    kind: ClassVar[str] = "weights"
    names: tuple[str, ...]
    values: NDArray[np.floating[Any]]
    spread: NDArray[np.floating[Any]]
    tolerance: SeedTolerance

    def __post_init__(self) -> None:
        if self.values.shape != self.spread.shape or self.values.ndim != 2 or len(self.names) != len(self.values):
            raise ValueError(
                f"weights need one row per class and a spread for each, got {len(self.names)} names, "
                f"{self.values.shape} values and {self.spread.shape} spreads"
            )
        if not self.values.shape[1]:
            raise ValueError("weights need at least one superpixel, got none")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"classes of weights must differ, got {self.names}")

    def of(self, name: str) -> NDArray[np.floating[Any]]:
        """Mean weights of one class, (F,)."""
        return np.asarray(self.values[self.names.index(name)])

    def meta(self) -> dict[str, Any]:
        """Classes and tolerance."""
        meta = super().meta()
        meta["tolerance"]["seeds"] = float(self.tolerance.seeds)  # goldens store it as a float
        return meta

    def condensed(self) -> Weights:
        """Return the weights in single precision, which is far finer than any spread."""
        return Weights(self.names, self.values.astype(np.float32), self.spread.astype(np.float32), self.tolerance)

    def differences(self, golden: Weights) -> Iterator[Difference]:
        """Per class the largest change of a weight, as a share of its limit, and the change of the spread over seeds.

        Weights of two segmentations cannot be compared: only the number of superpixels is.
        """
        differ = functools.partial(Difference, "share of the limit", tolerance=1.0)
        was, now = golden.values.shape[1], self.values.shape[1]
        if was != now:
            sentence = f"weights of {was} superpixels became weights of {now} superpixels"
            yield differ(math.inf, statements=[Statement(Severity.EVIDENCE, "superpixels", sentence)])
            return
        for gone in (each for each in golden.names if each not in self.names):
            yield differ(math.inf, statements=[Statement(Severity.NUMBERS, gone, f"{gone} has no weights any more")])
        for label in (each for each in golden.names if each in self.names):
            change, limit = all_apart(self.of(label), golden.of(label)), self._limit(golden, label)
            share = _share(float(change.max()), limit)
            yield differ(
                share,
                statements=self._statements(golden, label, change, limit),
                shifts=self._moved(golden, label, limit),
            )
            yield from self._spread_differs(golden, label)
        for new in (each for each in self.names if each not in golden.names):
            yield differ(math.inf, statements=[Statement(Severity.NUMBERS, new, f"{new} had no weights before")])

    def _statements(
        self, golden: Weights, label: str, change: NDArray[np.float64], limit: float
    ) -> Iterator[Statement]:
        now, was, worst = self.of(label), golden.of(label), int(np.argmax(change))
        turned = (np.sign(now) != np.sign(was)) & (np.minimum(np.abs(now), np.abs(was)) > limit)
        severity = Severity.EVIDENCE if turned.any() or not np.isfinite(change).all() else Severity.NUMBERS
        sentence = (
            f"{label}: the weight of superpixel {worst} was {was[worst]:.3g} and became {now[worst]:.3g} "
            f"(may differ by at most {limit:.2g}; {int((change > limit).sum())} of {len(now)} differ by more)"
        )
        yield Statement(severity, label, sentence, float(change[worst]), limit)

    def _moved(self, golden: Weights, label: str, limit: float) -> Iterator[Shift]:
        """Yield the mean change of the weights of the first class, as a share of its largest weight."""
        if label == self.names[0]:
            most = self._largest(label)
            change = float((self.of(label) - golden.of(label)).mean()) / most if most else 0.0
            yield Shift("mean weight", change, limit / most if most else 0.0)

    def _spread_differs(self, golden: Weights, label: str) -> Iterator[Difference]:
        was, now, limit = golden._deviation(label), self._deviation(label), self.tolerance.ratio
        if abs(now - was) > self._floor(label):
            ratio = max(was, now) / max(min(was, now), _LEAST)
            sentence = (
                f"{label}: the spread over seeds was {was:.2g} and became {now:.2g} (may change by a factor of at most "
                f"{limit:.2g})"
            )
            statements = Statement(Severity.NUMBERS, f"{label}, spread", sentence, ratio, limit)
            yield Difference(None, ratio, limit, [statements])

    def _limit(self, golden: Weights, label: str) -> float:
        """Return the largest change of a weight that does not count: what chance allows, and at least the floor.

        The spread is taken from both runs, but that of the golden counts for no more than that of the result, so that a
        golden which claims a large spread cannot loosen the limit.
        """
        own = self._deviation(label)
        deviation = math.sqrt((own**2 + min(own, golden._deviation(label)) ** 2) / 2)
        return max(self.tolerance.of_means(deviation), self._floor(label))

    def _deviation(self, label: str) -> float:
        """Return one spread for all superpixels of a class. Theirs differ little, and few seeds give poor estimates."""
        spread = np.nan_to_num(self.spread[self.names.index(label)].astype(np.float64), nan=0.0)
        with np.errstate(over="ignore"):  # a golden may claim any spread; that of the result limits what it counts for
            return float(np.sqrt(np.mean(spread**2)))

    def _floor(self, label: str) -> float:
        return self.tolerance.floor * self._largest(label)

    def _largest(self, label: str) -> float:
        return float(np.abs(np.nan_to_num(self.of(label).astype(np.float64), nan=0.0)).max())


def _share(change: float, limit: float) -> float:
    """Return the change as a share of its limit.

    It is infinite for an infinite change, and for any change with a limit of 0; a finite change has no share of an
    infinite limit.
    """
    if math.isinf(change):
        return math.inf
    if not change or math.isinf(limit):
        return 0.0
    return change / limit if limit else math.inf
