"""A partition of an image into superpixels, compared for equality."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import WrongValue
from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Statement, register
from xai_eval.result.fields.stored_arrays import stored_array


@register
@dataclass(frozen=True)
class Segments(Field):
    """Number of the superpixel of each pixel, (h, w), from 0 without gaps, in reading order of their first pixels."""

    kind: ClassVar[str] = "segments"
    array: NDArray[np.integer[Any]]

    @property
    def count(self) -> int:
        """Number of superpixels."""
        return int(self.array.max()) + 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The numbers of the superpixels, in the smallest integer type that fits."""
        return {"labels": self.array.astype(np.min_scalar_type(self.count - 1))}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        labels = stored_array(arrays, "labels", "iu", axes=2)
        # At most as many superpixels as pixels, so that what is counted by superpixel takes no more memory.
        if not labels.size or int(labels.min()) < 0 or int(labels.max()) >= labels.size:
            raise WrongValue(
                f"is an array of shape {labels.shape}; expected numbers from 0 to below its size", ".labels"
            )
        return cls(labels.astype(np.int64))

    def differences(self, golden: Segments) -> Iterator[Difference]:
        """The share of pixels that changed their superpixel. How superpixels are numbered does not matter.

        There is no signed change, because a single changed pixel is a finding of the case already.
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
    """Return the share of `moved_pixels`, in [0, 1]; 0 if and only if both are the same partition."""
    return float(moved_pixels(first, second).mean())


def moved_pixels(first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Mark the pixels, (h, w), outside of the largest overlap of their superpixel with one of the other partition.

    Overlaps of `first` with `second` and of `second` with `first` can give different pixels. The larger set is
    returned, so that its size does not depend on the order.
    """
    if np.array_equal(first, second):  # the usual case, and fast: what follows sorts all pixels
        return np.zeros(first.shape, dtype=bool)
    return max(_lost(first, second), _lost(second, first), key=np.count_nonzero)


def _lost(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the pixels outside of the largest overlap of each superpixel of `first` with a superpixel of `second`."""
    pairs = np.stack([first.reshape(-1), second.reshape(-1)])
    (owners, _), place, counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    # Of equally large overlaps the first one counts.
    order = np.lexsort((np.arange(len(owners)), -counts, owners))
    largest = order[np.unique(owners[order], return_index=True)[1]]
    stays = np.zeros(len(owners), dtype=bool)
    stays[largest] = True
    return np.asarray(~stays[place.reshape(-1)].reshape(first.shape))
