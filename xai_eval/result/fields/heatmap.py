"""A saliency map over the image, compared by what it says rather than pixel by pixel."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.result.map_similarity import centre_moved, iou, mass_moved, rank_correlation, top_area

GOLDEN_SIDE = 56
TOP_SHARES = (0.05, 0.10, 0.20)
# However noisy an explainer is, a map that moved by more than this is another map.
LOOSEST_MAP = 0.25


@dataclass(frozen=True)
class HeatmapTolerance:
    """What may differ before a map counts as changed.

    Attributes:
        largest: largest difference of any pixel of two maps in [0, 1]; up to it they are the same image.
        rank: least rank correlation. The last three matter only where `largest` is exceeded.
        top: least IoU of the hottest 5, 10 and 20 % of the area.
        moved: farthest that the mass may move, as a share of the side.
    """

    largest: float
    rank: float = 0.95
    top: float = 0.75
    moved: float = 0.02


@dataclass(frozen=True)
class Heatmap:
    """Map of shape (h, w), float, in [0, 1] unless it is degenerate.

    Attributes:
        array: the map, (h, w).
        tolerance: what may differ.
        full_shape: shape before it was condensed for a golden; None if it never was.
    """

    kind: ClassVar[str] = "heatmap"
    array: NDArray[np.floating[Any]]
    tolerance: HeatmapTolerance
    full_shape: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The map's shape before it was condensed."""
        return self.full_shape or (self.array.shape[0], self.array.shape[1])

    @functools.cached_property
    def degenerate(self) -> str | None:
        """Why the map means nothing ('NaN', 'all zero', 'constant'), or None for a map that may mean something."""
        # numpy goes over half precision ten times as slowly.
        values = self.array.astype(np.float32) if self.array.dtype == np.float16 else self.array
        if not values.any():
            return "all zero"
        # NaN goes through both.
        least, most = float(values.min()), float(values.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            return "NaN"
        return "constant" if least == most else None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The map itself."""
        return {"map": self.array}

    def meta(self) -> dict[str, Any]:
        """Tolerance and full shape."""
        return {
            "tolerance": asdict(self.tolerance),
            "full_shape": list(self.full_shape) if self.full_shape else None,
        }

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        full = meta["full_shape"]
        return cls(arrays["map"], HeatmapTolerance(**meta["tolerance"]), (full[0], full[1]) if full else None)

    def condensed(self) -> Heatmap:
        """Keep block means of at most 56 x 56 in half precision: 6 KB, precise to 5e-4."""
        height, width = self.array.shape
        if max(height, width) <= GOLDEN_SIDE:
            return self
        small = block_means(self.array, (min(height, GOLDEN_SIDE), min(width, GOLDEN_SIDE)))
        return Heatmap(small.astype(np.float16), self.tolerance, self.shape)

    def compare(self, golden: Heatmap, name: str) -> tuple[Finding, ...]:
        """Compare with the golden's map, at the coarser resolution of the two."""
        if self.shape != golden.shape:
            sentence = f"map of {_by(golden.shape)} became {_by(self.shape)}"
            return (Finding(name, Severity.EVIDENCE, "shape", sentence),)
        if self.degenerate or golden.degenerate:
            return _compare_degenerate(self.degenerate, golden.degenerate, name)
        return _compare_maps(*self._on_common_grid(golden), self.tolerance, name)

    def distances(self, other: Heatmap) -> tuple[Distance, ...]:
        """The largest difference of a pixel, at the coarser resolution of the two."""
        if self.shape != other.shape or self.degenerate != other.degenerate:
            largest = math.inf
        elif self.degenerate:
            largest = 0.0
        else:
            now, was = self._on_common_grid(other)
            largest = float(np.abs(now - was).max())
        return (Distance("largest difference", largest, self.tolerance.largest, LOOSEST_MAP),)

    def shifts(self, golden: Heatmap) -> tuple[Shift, ...]:
        """Whether maps grow hotter, and where their centres of mass go, as a share of the side."""
        if self.shape != golden.shape or self.degenerate or golden.degenerate:
            return ()
        now, was = self._on_common_grid(golden)
        hotter = Shift("mean", float(now.mean() - was.mean()), self.tolerance.largest)
        moved = centre_moved(now, was)
        return (hotter, *(Shift(f"centre {axis}", each, self.tolerance.moved) for axis, each in moved.items()))

    def _on_common_grid(self, other: Heatmap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        first, second = self.array.shape, other.array.shape
        shape = (min(first[0], second[0]), min(first[1], second[1]))
        return self._on_grid(shape), other._on_grid(shape)

    def _on_grid(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """The map in blocks, kept because every comparison asks for it; a golden is small already and keeps none."""
        if shape == self.array.shape:
            return self.array.astype(np.float64)
        if shape not in self._grids:
            self._grids[shape] = block_means(self.array, shape)
        return self._grids[shape]

    @functools.cached_property
    def _grids(self) -> dict[tuple[int, int], NDArray[np.float64]]:
        return {}


def block_means(array: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Average (h, w) over a grid of `shape` blocks, whose sides differ by one pixel at most."""
    result = array.astype(np.float64)
    for axis, count in enumerate(shape):
        if count == array.shape[axis]:
            continue
        means = _block_means(result if axis == 0 else np.ascontiguousarray(result.T), count)
        result = means if axis == 0 else means.T
    return result


def _block_means(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Average blocks of rows; `np.add.reduceat` takes twice as long."""
    starts, sizes = _blocks(len(rows), count)
    sums = rows[starts]
    for place in range(1, int(sizes.max())):
        longer = np.flatnonzero(sizes > place)
        sums[longer] += rows[starts[longer] + place]
    return sums / sizes[:, None]


@functools.lru_cache(maxsize=64)
def _blocks(length: int, count: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Where each of `count` blocks of a side begins, and its length."""
    edges = np.linspace(0, length, count + 1).astype(int)
    return edges[:-1], np.diff(edges)


def _compare_degenerate(obtained: str | None, golden: str | None, name: str) -> tuple[Finding, ...]:
    if obtained == golden:
        return ()
    sentence = f"the map was {golden or 'meaningful'} and is {obtained or 'meaningful'} now"
    return (Finding(name, Severity.EVIDENCE, "degenerate", sentence),)


def _compare_maps(
    obtained: NDArray[np.float64], golden: NDArray[np.float64], tolerance: HeatmapTolerance, name: str
) -> tuple[Finding, ...]:
    largest = float(np.abs(obtained - golden).max())
    if largest <= tolerance.largest:
        return ()
    findings = [
        Finding(name, severity, measure, f"{measure} {value:.3g} (limit {limit:g})", value, limit)
        for severity, measure, value, limit, broken in (
            *_evidence(obtained, golden, tolerance),
            (Severity.NUMBERS, "largest difference", largest, tolerance.largest, True),
        )
        if broken
    ]
    return tuple(findings)


def _evidence(
    obtained: NDArray[np.float64], golden: NDArray[np.float64], tolerance: HeatmapTolerance
) -> list[tuple[Severity, str, float, float, bool]]:
    rank = rank_correlation(obtained, golden)
    moved = mass_moved(obtained, golden)
    rows = [
        (
            Severity.EVIDENCE,
            "mass moved, share of the side,",
            moved,
            tolerance.moved,
            moved > tolerance.moved,
        ),
        (Severity.EVIDENCE, "rank correlation", rank, tolerance.rank, rank < tolerance.rank),
    ]
    for share in TOP_SHARES:
        overlap = iou(top_area(obtained, share), top_area(golden, share))
        measure = f"overlap of the hottest {share:.0%}"
        rows.append((Severity.EVIDENCE, measure, overlap, tolerance.top, overlap < tolerance.top))
    return rows


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"
