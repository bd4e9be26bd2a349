"""A partition of a picture into superpixels: the same or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.fields.base import Arrays, Distance, Finding, Severity, Shift


@dataclass(frozen=True)
class Segments:
    """Number of the superpixel of each pixel, (h, w), from 0 without gaps, in reading order of their first pixels."""

    kind: ClassVar[str] = "segments"
    array: NDArray[np.integer[Any]]

    @property
    def count(self) -> int:
        """How many superpixels there are."""
        return int(self.array.max()) + 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The numbers, in as few bytes as they need."""
        return {"labels": self.array.astype(np.min_scalar_type(self.count - 1))}

    def meta(self) -> dict[str, Any]:
        """Nothing else."""
        return {}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(arrays["labels"].astype(np.int64))

    def condensed(self) -> Segments:
        """Flat areas take few bytes once they are packed."""
        return self

    def compare(self, golden: Segments, name: str) -> tuple[Finding, ...]:
        """Compare as partitions: how the superpixels are numbered does not matter, any pixel that moved does."""
        if self.array.shape != golden.array.shape:
            sentence = f"segments of {golden.array.shape} became {self.array.shape}"
            return (Finding(name, Severity.EVIDENCE, "shape", sentence),)
        moved = share_moved(self.array, golden.array)
        if moved == 0.0:
            return ()
        sentence = f"{golden.count} superpixels became {self.count}; {moved:.2%} of the pixels lie in another one"
        return (Finding(name, Severity.EVIDENCE, "pixels moved", sentence, moved, 0.0),)

    def distances(self, other: Segments) -> tuple[Distance, ...]:
        """Share of the pixels that lie in another superpixel; none may."""
        same_shape = self.array.shape == other.array.shape
        return (Distance("pixels moved", share_moved(self.array, other.array) if same_shape else math.inf, 0.0),)

    def shifts(self, golden: Segments) -> tuple[Shift, ...]:
        """Any pixel that moved is a finding of its own case already."""
        return ()


def share_moved(first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]) -> float:
    """Share of the pixels that do not lie in the largest overlap of their superpixels, in [0, 1]; 0 if and only if
    both are the same partition. The greater of the two directions, so that it is symmetric.
    """
    if np.array_equal(first, second):  # as almost always; the rest sorts all pixels
        return 0.0
    return max(_share_lost(first, second), _share_lost(second, first))


def _share_lost(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Share of the pixels outside the largest part of each superpixel of `first` that one of `second` holds."""
    pairs = np.stack([first.reshape(-1), second.reshape(-1)])
    (owners, _), counts = np.unique(pairs, axis=1, return_counts=True)
    largest = np.zeros(int(owners.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, owners, counts)
    return float(1.0 - largest.sum() / first.size)
