"""Weights of superpixels in linear surrogates, compared by what they vary from seed to seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.fields.base import Arrays, Finding, Severity
from xai_eval.fields.numbers import all_apart

# A weight may move by this many standard deviations of what other samples would have given.
_DEVIATIONS = 2.0


@dataclass(frozen=True)
class Weights:
    """Means over seeds of the weights of L classes on F superpixels.

    Attributes:
        names: the classes.
        values: mean weights, (L, F).
        spread: their standard deviations over seeds, (L, F).
        floor: what may differ whatever the spread, as a share of the largest weight of the class.
    """

    kind: ClassVar[str] = "weights"
    names: tuple[str, ...]
    values: NDArray[np.floating[Any]]
    spread: NDArray[np.floating[Any]]
    floor: float

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
        return {"names": list(self.names), "floor": self.floor}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(tuple(meta["names"]), arrays["values"], arrays["spread"], meta["floor"])

    def condensed(self) -> Weights:
        """Single precision is far finer than any spread."""
        return Weights(self.names, self.values.astype(np.float32), self.spread.astype(np.float32), self.floor)

    def compare(self, golden: Weights, name: str) -> tuple[Finding, ...]:
        """Compare class by class; the weights of two segmentations cannot be compared, only counted."""
        was, now = golden.values.shape[1], self.values.shape[1]
        if was != now:
            sentence = f"weights of {was} superpixels became weights of {now}"
            return (Finding(name, Severity.EVIDENCE, "superpixels", sentence),)
        gone = [each for each in golden.names if each not in self.names]
        lost = [Finding(name, Severity.NUMBERS, each, f"{each} has no weights any more") for each in gone]
        shared = [each for each in golden.names if each in self.names]
        moved = [self._compare_class(golden, name, each) for each in shared]
        return tuple(finding for finding in (*lost, *moved) if finding)

    def _compare_class(self, golden: Weights, name: str, label: str) -> Finding | None:
        now, was, limit = self.of(label), golden.of(label), self._limit(label)
        change = all_apart(now, was)
        excess = change - limit
        worst = int(np.argmax(excess))
        if excess[worst] <= 0.0:
            return None
        turned = (np.sign(now) != np.sign(was)) & (np.minimum(np.abs(now), np.abs(was)) > limit)
        severity = Severity.EVIDENCE if turned.any() or not np.isfinite(change).all() else Severity.NUMBERS
        sentence = (
            f"{label}: weight of superpixel {worst} {was[worst]:.3g} became {now[worst]:.3g} "
            f"(limit {limit[worst]:.2g}; {int((excess > 0).sum())} of {len(now)} beyond theirs)"
        )
        return Finding(name, severity, label, sentence, float(change[worst]), float(limit[worst]))

    def _limit(self, label: str) -> NDArray[np.float64]:
        """What each weight may move, from the spread obtained now: a golden cannot loosen it."""
        row = self.names.index(label)
        least = self.floor * float(np.abs(np.nan_to_num(self.values[row], nan=0.0)).max())
        spread = np.nan_to_num(self.spread[row].astype(np.float64), nan=0.0)
        return np.asarray(np.maximum(_DEVIATIONS * spread, least))
