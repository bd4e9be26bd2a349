"""Weights of superpixels in linear surrogates, compared as distributions over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.result.fields.numbers import all_apart, from_json, to_json

# Where all weights of a class are zero there is no scale.
_LEAST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class SeedTolerance:
    """How far apart the weights of two runs may be: what chance gives, and what nobody minds.

    A change counts if it is both significant and large.

    Attributes:
        floor: what may differ whatever chance says, as a share of the largest weight of the class.
        seeds: how many seeds a mean and a spread are of.
        errors: by so many standard errors the means of the same explainer may differ.
        ratio: by such a factor its spreads may.
    """

    floor: float
    seeds: int
    errors: float
    ratio: float

    def of_means(self, deviation: float) -> float:
        """By how much two means may differ if one seed's weights have the standard deviation `deviation`."""
        return self.errors * deviation * math.sqrt(2 / self.seeds)


@dataclass(frozen=True)
class Weights:
    """Means over seeds of the weights of L classes on F superpixels.

    Attributes:
        names: the classes.
        values: mean weights, (L, F).
        spread: standard deviations of one seed's weights, (L, F).
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
                f"weights need one row a class and a spread for each, got {len(self.names)} names, "
                f"{self.values.shape} values and {self.spread.shape} spreads"
            )

    def of(self, name: str) -> NDArray[np.floating[Any]]:
        """Mean weights of one class, (F,)."""
        return np.asarray(self.values[self.names.index(name)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Means and spreads."""
        return {"values": self.values, "spread": self.spread}

    def meta(self) -> dict[str, Any]:
        """Classes and tolerance."""
        tolerance = {name: to_json(value) for name, value in asdict(self.tolerance).items()}
        return {"names": list(self.names), "tolerance": tolerance}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        stored = {name: from_json(value) for name, value in meta["tolerance"].items()}
        tolerance = SeedTolerance(stored["floor"], int(stored["seeds"]), stored["errors"], stored["ratio"])
        return cls(tuple(meta["names"]), arrays["values"], arrays["spread"], tolerance)

    def condensed(self) -> Weights:
        """Single precision is far finer than any spread."""
        return Weights(self.names, self.values.astype(np.float32), self.spread.astype(np.float32), self.tolerance)

    def compare(self, golden: Weights, name: str) -> tuple[Finding, ...]:
        """Compare class by class; the weights of two segmentations cannot be compared, only counted."""
        was, now = golden.values.shape[1], self.values.shape[1]
        if was != now:
            sentence = f"weights of {was} superpixels became weights of {now}"
            return (Finding(name, Severity.EVIDENCE, "superpixels", sentence),)
        gone = [each for each in golden.names if each not in self.names]
        lost = [Finding(name, Severity.NUMBERS, each, f"{each} has no weights any more") for each in gone]
        shared = [each for each in golden.names if each in self.names]
        moved = [
            finding
            for label in shared
            for compare in (self._compare_class, self._compare_spread)
            for finding in compare(golden, name, label)
        ]
        return (*lost, *moved)

    def distances(self, other: Weights) -> tuple[Distance, ...]:
        """The largest change of a weight, as a share of what it may be."""
        if self.values.shape[1] != other.values.shape[1] or set(self.names) != set(other.names):
            return (Distance("share of the limit", math.inf, 1.0),)
        changes = {label: float(all_apart(self.of(label), other.of(label)).max()) for label in self.names}
        shares = [change and change / (self._limit(other, label) or _LEAST) for label, change in changes.items()]
        return (Distance("share of the limit", max(shares), 1.0),)

    def shifts(self, golden: Weights) -> tuple[Shift, ...]:
        """The mean change over superpixels of the first class, as a share of its largest weight."""
        label = self.names[0]
        if label not in golden.names or self.values.shape[1] != golden.values.shape[1]:
            return ()
        most = self._largest(label)
        change = float((self.of(label) - golden.of(label)).mean()) / most if most else 0.0
        return (Shift("mean weight", change, self._limit(golden, label) / most if most else 0.0),)

    def _compare_class(self, golden: Weights, name: str, label: str) -> Iterator[Finding]:
        now, was, limit = self.of(label), golden.of(label), self._limit(golden, label)
        change = all_apart(now, was)
        worst = int(np.argmax(change))
        if change[worst] <= limit:
            return
        turned = (np.sign(now) != np.sign(was)) & (np.minimum(np.abs(now), np.abs(was)) > limit)
        severity = Severity.EVIDENCE if turned.any() or not np.isfinite(change).all() else Severity.NUMBERS
        sentence = (
            f"{label}: weight of superpixel {worst} {was[worst]:.3g} became {now[worst]:.3g} "
            f"(limit {limit:.2g}; {int((change > limit).sum())} of {len(now)} beyond it)"
        )
        yield Finding(name, severity, label, sentence, float(change[worst]), limit)

    def _compare_spread(self, golden: Weights, name: str, label: str) -> Iterator[Finding]:
        was, now, limit = golden._deviation(label), self._deviation(label), self.tolerance.ratio
        ratio = max(was, now) / max(min(was, now), _LEAST)
        if ratio <= limit or abs(now - was) <= self._floor(label):
            return
        sentence = f"{label}: spread over seeds {was:.2g} became {now:.2g} (limit: factor {limit:.2g})"
        yield Finding(name, Severity.NUMBERS, f"{label}, spread", sentence, ratio, limit)

    def _limit(self, golden: Weights, label: str) -> float:
        """What a weight may move: by more than chance lets two sets of seeds differ, and more than the floor.

        The spread is that of both runs, so that a golden alone can loosen it no more than the ratio of spreads allows.
        """
        deviation = math.sqrt((self._deviation(label) ** 2 + golden._deviation(label) ** 2) / 2)
        return max(self.tolerance.of_means(deviation), self._floor(label))

    def _deviation(self, label: str) -> float:
        """One spread for all superpixels of a class, whose own differ little and are badly known from a few seeds."""
        spread = np.nan_to_num(self.spread[self.names.index(label)].astype(np.float64), nan=0.0)
        return float(np.sqrt(np.mean(spread**2)))

    def _floor(self, label: str) -> float:
        return self.tolerance.floor * self._largest(label)

    def _largest(self, label: str) -> float:
        return float(np.abs(np.nan_to_num(self.of(label).astype(np.float64), nan=0.0)).max())
