"""Sums of logarithms over the top images of each unit, on which soft-WPMI and WPMI spend all their time."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.explainers.dissection.in_blocks import BLOCK, blocks, on_threads

Floats = NDArray[np.float32]

# Up to how many exponentials are kept until they are needed (16 MB), instead of computed again.
_KEPT = 2**22
# How many factors are multiplied in one step if there are no more.
_AT_ONCE = 2**17
# Products of factors stay above this value, which is well above the smallest number of single precision.
LEAST_PRODUCT = 1e-34


@dataclass(frozen=True, eq=False)
class SumsOfLogs:
    """Sums log(S + offset) over the top images of a unit, where S is the softmax of the similarities over concepts.

    Attributes:
        a: factor before the softmax.
        offsets: offset for each of the k top images, best first, (k,).
        constant: added to every sum.
    """

    a: float
    offsets: NDArray[np.float64]
    constant: float = 0.0

    def __call__(self, similarity: Floats, top_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sums (J, M) for similarities (N, M) and top images (J, k).

        A few concepts are processed at a time, so that everything stays in the cache. Each thread takes the next few
        concepts when it is ready. torch's own threads are not used, because they wait for each other at every step:
        with steps this short they wait longer than they work, and a hundred times longer if another process uses one of
        the cores.
        """
        used, top_ids = _used_rows(similarity, top_ids)
        ranks = np.ascontiguousarray(top_ids.T)
        softmax = _Softmax.of(used, self.a)
        sums = np.empty((len(top_ids), similarity.shape[1]))
        waiting = deque(blocks(similarity.shape[1], len(top_ids)))
        workers = min(torch.get_num_threads(), len(waiting))
        widest = min(waiting[0].stop, similarity.shape[1])

        def work(_worker: int) -> None:
            # Arrays are used again and again: threads that ask for memory at every step wait for each other.
            arrays = _Arrays.of(len(used), len(top_ids), widest)
            with contextlib.suppress(IndexError):  # no part is left
                while True:
                    part = waiting.popleft()
                    sums[:, part] = self._of_block(softmax.block(part, arrays.probabilities), ranks, arrays)

        if workers < 2:
            work(0)
        else:
            with on_threads(workers) as mapped:
                list(mapped(work, range(workers)))  # `list` raises what a thread raised
        sums += self.constant
        return sums

    def _of_block(self, probabilities: Floats, ranks: NDArray[np.int64], arrays: _Arrays) -> NDArray[np.float64]:
        """Return the sums (J, w) for w concepts.

        Several factors are multiplied before their logarithm is taken, because multiplying is faster.

        Args:
            probabilities: S of the R images that are in any top list, (R, w); it may be changed.
            ranks: row in `probabilities` of each of the k top images of each unit, (k, J).
            arrays: to compute in.
        """
        width = probabilities.shape[1]
        offsets = self.offsets.tolist()
        together = max(1, int(math.log(LEAST_PRODUCT) / math.log(min(offsets))))
        if min(offsets) == max(offsets):  # images are fewer than places in top lists
            probabilities += offsets[0]
            offsets = [0.0] * len(offsets)
        if 1 < ranks.size * width <= _AT_ONCE:
            return _at_once(probabilities, ranks, offsets, together)
        shape = ranks.shape[1], width
        factor, product, sums = (_shaped(each, shape) for each in (arrays.factor, arrays.product, arrays.sums))
        sums.fill(0.0)
        for t, offset in enumerate(offsets):
            # With "clip" numpy does not check for indices out of range, for which it would copy the result once more.
            taken = factor if t % together else product
            probabilities.take(ranks[t], 0, taken, "clip")
            if offset:
                taken += offset
            if taken is factor:
                product *= factor
            if (t + 1) % together == 0 or t + 1 == len(offsets):
                sums += np.log(product, out=product)
        return sums


def _at_once(
    probabilities: Floats, ranks: NDArray[np.int64], offsets: Sequence[float], together: int
) -> NDArray[np.float64]:
    """As `SumsOfLogs._of_block`, in the same order, for so few numbers that the steps would take longer than they."""
    factors = probabilities[ranks]
    if any(offsets):
        factors += np.asarray(offsets, np.float32)[:, None, None]
    sums = np.zeros(factors.shape[1:])
    for start in range(0, len(factors), together):
        sums += np.log(np.multiply.reduce(factors[start : start + together]))
    return sums


@dataclass(frozen=True, eq=False)
class _Arrays:
    """What one thread computes in, for up to w concepts: room for (R, w) of R images, and for (J, w) of J units."""

    probabilities: Floats
    factor: Floats
    product: Floats
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, images: int, units: int, concepts: int) -> _Arrays:
        """Allocate them."""
        size = units * concepts
        of_units = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size)
        return cls(np.empty(images * concepts, np.float32), *of_units)


def _shaped(room: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return the beginning of an array in another shape, without gaps between its rows."""
    return room[: shape[0] * shape[1]].reshape(shape)


@dataclass(frozen=True, eq=False)
class _Softmax:
    """The softmax over concepts of factor `a` times the similarities (R, M).

    Attributes:
        similarity: the similarities, (R, M).
        a: the factor.
        peaks: the largest similarity of each image, (R, 1).
        shares: the softmax at that concept, (R, 1).
        whole: all exponentials, (R, M), if they are few; else those of some concepts are computed when they are needed.
    """

    similarity: Floats
    a: float
    peaks: Floats
    shares: Floats
    whole: Floats | None = None

    @classmethod
    def of(cls, similarity: Floats, a: float) -> _Softmax:
        """Find the parts of the softmax, a few images at a time."""

        whole = np.empty(similarity.shape, np.float32) if similarity.size <= _KEPT else None

        def parts(rows: slice) -> tuple[Floats, Floats]:
            some = similarity[rows]
            peaks: Floats = some.max(axis=1, keepdims=True)
            found = _exponentials(some, peaks, a, np.empty(some.shape, np.float32) if whole is None else whole[rows])
            return peaks, np.reciprocal(found.sum(axis=1, keepdims=True))

        if similarity.size <= BLOCK:
            return cls(similarity, a, *parts(slice(None)), whole)
        parts_of_rows = list(blocks(*similarity.shape))
        with on_threads(len(parts_of_rows)) as mapped:
            peaks, shares = zip(*mapped(parts, parts_of_rows), strict=True)
        return cls(similarity, a, np.concatenate(peaks), np.concatenate(shares), whole)

    def block(self, concepts: slice, out: Floats) -> Floats:
        """Return the softmax of some concepts, (R, w), within `out`."""
        some = (self.similarity if self.whole is None else self.whole)[:, concepts]
        found = _shaped(out, (len(some), some.shape[1]))
        if self.whole is not None:
            np.multiply(some, self.shares, out=found)
            return found
        _exponentials(some, self.peaks, self.a, found)
        found *= self.shares
        return found


def _used_rows(similarity: Floats, top_ids: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the rows of images that are in any top list, if that saves work, and where `top_ids` are among them."""
    if similarity.size > BLOCK:  # otherwise it takes longer to find out which rows are needed
        rows, places = np.unique(top_ids, return_inverse=True)
        if len(rows) < len(similarity) / 2:
            return similarity[rows], places.reshape(top_ids.shape)
    return similarity, top_ids


def _exponentials(similarity: Floats, peaks: Floats, a: float, out: Floats) -> Floats:
    """Return exp(a (similarity - peak)), the softmax divided by its largest value per image, (R, w), in `out`."""
    np.subtract(similarity, peaks, out=out)
    out *= a
    np.exp(out, out=out)
    return out
