"""A partition of an image into superpixels: the same or not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Statement, register


@register
@dataclass(frozen=True)
class Segments(Field):
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

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(arrays["labels"].astype(np.int64))

    def differences(self, golden: Segments) -> Iterator[Difference]:
        """Compare as partitions: how the superpixels are numbered does not matter, no pixel may lie in another one.

        They have no direction: any pixel that moved is a finding of its own case already.
        """
        if self.array.shape != golden.array.shape:
            sentence = f"the shape of the image was {golden.array.shape} and is {self.array.shape} now"
            yield Difference("pixels moved", math.inf, 0.0, [Statement(Severity.EVIDENCE, "shape", sentence)])
        else:
            moved = share_moved(self.array, golden.array)
            yield Difference("pixels moved", moved, 0.0, self._statements(golden, moved))

    def _statements(self, golden: Segments, moved: float) -> Iterator[Statement]:
        sentence = f"{golden.count} superpixels became {self.count}; {moved:.2%} of the pixels changed theirs"
        yield Statement(Severity.EVIDENCE, "pixels moved", sentence, moved, 0.0)


def share_moved(first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]) -> float:
    """Share of `moved_pixels`, in [0, 1]; 0 if and only if both are the same partition."""
    return float(moved_pixels(first, second).mean())


def moved_pixels(first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Mark the pixels, (h, w), that do not lie in the largest overlap of their superpixels.

    In the direction, of two, in which there are more of them, so that their number is symmetric.
    """
    if np.array_equal(first, second):  # as almost always; the rest sorts all pixels
        return np.zeros(first.shape, dtype=bool)
    return max(_lost(first, second), _lost(second, first), key=np.count_nonzero)


def _lost(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels outside the largest part of each superpixel of `first` that one of `second` holds."""
    pairs = np.stack([first.reshape(-1), second.reshape(-1)])
    (owners, _), place, counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    # Of equally large parts the first one stays.
    order = np.lexsort((np.arange(len(owners)), -counts, owners))
    largest = order[np.unique(owners[order], return_index=True)[1]]
    stays = np.zeros(len(owners), dtype=bool)
    stays[largest] = True
    return np.asarray(~stays[place.reshape(-1)].reshape(first.shape))
