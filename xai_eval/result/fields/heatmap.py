"""A saliency map over the image, compared by where it points rather than pixel by pixel."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.result.fields.base import Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.map_similarity import centre_moved, iou, mass_moved, mean, rank_correlation, top_area

Grid = NDArray[np.float64]
GOLDEN_SIDE = 56
# The largest value of a map that is compared as it is: that of a map in [0, 1] is near 1.
_NEAR_ONE = (0.5, 2.0)
TOP_SHARES = (0.05, 0.10, 0.20)
# No tolerance may exceed this, however noisy an explainer is, because a map that differs by more is another map.
LOOSEST_MAP = 0.25


@dataclass(frozen=True)
class HeatmapTolerance:
    """What may differ before a map counts as changed.

    Attributes:
        largest: largest difference of a pixel, as a share of the range of the map, which is 1 for maps in [0, 1]. Up to
            it two maps count as the same, and the other three are not checked.
        rank: smallest allowed rank correlation.
        top: smallest allowed IoU of the hottest 5, 10 and 20 % of the area.
        moved: largest distance that the mass may move, as a share of the side.
    """

    largest: float
    rank: float = 0.95
    top: float = 0.75
    moved: float = 0.02


@register
@dataclass(frozen=True)
class Heatmap(Field):
    """Map of shape (h, w), float, in [0, 1] with its largest value near 1, unless it is degenerate.

    A map of another range is judged relative to it: its values, and those of its golden, are divided by the largest
    value of the golden. For maps with negative values use `SignedMap`, which judges both signs apart.

    Attributes:
        array: the map, (h, w).
        tolerance: what may differ.
        full_shape: shape before it was condensed for a golden; None if it never was.

    Raises:
        UsageError: the array is not a numpy array of floats of shape (h, w).
    """

    kind: ClassVar[str] = "heatmap"
    stored_as: ClassVar[Mapping[str, str]] = {"array": "map"}
    array: NDArray[np.floating[Any]]
    tolerance: HeatmapTolerance
    full_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        array: Any = self.array
        if isinstance(array, np.ndarray) and array.ndim == 2 and array.dtype.kind == "f":
            return
        numbers = f" of shape {tuple(array.shape)} and type {array.dtype}" if hasattr(array, "dtype") else ""
        raise UsageError(
            f"a Heatmap got a {type(array).__name__}{numbers}; expected a numpy array of floats of shape (h, w). "
            "Convert a tensor with .detach().cpu().numpy(), and add up the channels of an attribution."
        )

    @property
    def shape(self) -> tuple[int, int]:
        """The map's shape before it was condensed."""
        return self.full_shape or (self.array.shape[0], self.array.shape[1])

    @functools.cached_property
    def degenerate(self) -> str | None:
        """Why the map means nothing ('NaN', 'all zero', 'constant'), or None for a map that may mean something."""
        least, most = self._ends if self.array.size else (0.0, 0.0)
        if least == most == 0.0:
            return "all zero"
        if not (math.isfinite(least) and math.isfinite(most)):
            return "NaN"
        return "constant" if least == most else None

    @functools.cached_property
    def _ends(self) -> tuple[float, float]:
        """The least and the largest value; both are NaN if any value is."""
        # numpy is ten times as slow with half precision.
        values = self.array.astype(np.float32) if self.array.dtype == np.float16 else self.array
        return float(np.minimum.reduce(values, axis=None)), float(np.maximum.reduce(values, axis=None))

    @functools.cached_property
    def own_range(self) -> float | None:
        """The largest absolute value, if the map is judged relative to it; None if it is near 1, or means nothing.

        Maps that are meant to lie in [0, 1] have their largest value near 1. To divide by it, too, would only judge a
        map and its golden, which was condensed and so lost the tips of its peaks, by different rules.
        """
        # Condensing lowers the peaks of a map, but keeps only a map with the usual range in half precision.
        usual_golden = self.full_shape is not None and self.array.dtype == np.float16
        if self.degenerate or usual_golden:
            return None
        most = max(map(abs, self._ends))
        return None if self.full_shape is None and _NEAR_ONE[0] <= most <= _NEAR_ONE[1] else most

    @property
    def shown(self) -> NDArray[np.floating[Any]]:
        """The map as it is drawn, (h, w): divided by `own_range`, if it has one."""
        return self.array if self.own_range is None else self.array.astype(np.float64) / self.own_range

    def condensed(self) -> Heatmap:
        """Return block means of at most 56 x 56 in half precision: they take 6 KB, with rounding errors up to 5e-4.

        A map of another range than [0, 1] is kept in single precision: half precision cannot tell tiny numbers apart.
        """
        height, width = self.array.shape
        if max(height, width) <= GOLDEN_SIDE:
            return self
        small = block_means(self.array, (min(height, GOLDEN_SIDE), min(width, GOLDEN_SIDE)))
        return Heatmap(small.astype(np.float16 if self.own_range is None else np.float32), self.tolerance, self.shape)

    def differences(self, golden: Heatmap) -> Iterator[Difference]:
        """The largest difference of a pixel, at the resolution of goldens or in full, and how the heat moved.

        Ranking, hottest area and mass are compared only if a pixel differs by more than its tolerance.
        """
        if self.shape != golden.shape:
            sentence = f"a map of {_by(golden.shape)} pixels became one of {_by(self.shape)}"
            yield self._difference(math.inf, [Statement(Severity.EVIDENCE, "shape", sentence)])
        elif coarser := coarser_than_kept(self.shape, self.array.shape, golden.array.shape):
            yield self._difference(math.inf, [Statement(Severity.EVIDENCE, "resolution", coarser)])
        elif self.degenerate or golden.degenerate:
            value = 0.0 if self.degenerate == golden.degenerate else math.inf
            sentence = f"the map was {golden.degenerate or 'valid'} and is {self.degenerate or 'valid'} now"
            yield self._difference(value, [Statement(Severity.EVIDENCE, "degenerate", sentence)])
        else:
            now, was, value = self._beside(golden)
            statements, shifts = _broken(now, was, value, self.tolerance), _moved(now, was, self.tolerance)
            yield self._difference(value, statements, shifts)

    def _difference(self, value: float, statements: Iterable[Statement], shifts: Iterable[Shift] = ()) -> Difference:
        return Difference("largest difference", value, self.tolerance.largest, statements, shifts, LOOSEST_MAP)

    def _beside(self, golden: Heatmap) -> tuple[Grid, Grid, float]:
        """Return both maps on one grid and scale, and their largest difference.

        That of the last golden is kept: findings, shifts and distances of one case each need it.
        """
        if not self._compared or self._compared[0][0] is not golden:
            now, was = self._scaled(*self._on_common_grid(golden))
            self._compared[:] = [(golden, (now, was, float(np.abs(now - was).max())))]
        return self._compared[0][1]

    @functools.cached_property
    def _compared(self) -> list[tuple[Heatmap, tuple[Grid, Grid, float]]]:
        return []

    def _on_common_grid(self, other: Heatmap) -> tuple[Grid, Grid]:
        first, second = self.array.shape, other.array.shape
        shape = (min(first[0], second[0]), min(first[1], second[1]))
        return self._on_grid(shape), other._on_grid(shape)

    def _scaled(self, now: Grid, was: Grid) -> tuple[Grid, Grid]:
        """Divide both maps by the largest value of the golden, unless this one has the range of maps in [0, 1]."""
        if self.own_range is None:
            return now, was
        most = float(np.abs(was).max()) or self.own_range
        return now / most, was / most

    def _on_grid(self, shape: tuple[int, int]) -> Grid:
        """Return block means of the map; cached, because every comparison needs them. A golden is small already."""
        if shape == self.array.shape:
            return self.array.astype(np.float64)
        if shape not in self._grids:
            self._grids[shape] = block_means(self.array, shape)
        return self._grids[shape]

    @functools.cached_property
    def _grids(self) -> dict[tuple[int, int], Grid]:
        return {}


def coarser_than_kept(full: tuple[int, int], now: tuple[int, ...], golden: tuple[int, ...]) -> str:
    """Say that a golden keeps a map on another grid than this version does; empty if it does not.

    The resolution at which maps are compared is that of the code. A golden of two cells would match almost any map.

    Args:
        full: rows and columns of the map before it was condensed.
        now: rows and columns that the result has.
        golden: rows and columns that the golden has.
    """
    kept = (min(full[0], GOLDEN_SIDE), min(full[1], GOLDEN_SIDE))
    if golden in (kept, full, now):
        return ""
    return (
        f"the golden keeps the map of {_by(full)} pixels at {_by(golden)}, but this version compares it at "
        f"{_by(kept)}: restore the golden from version control, or accept a new one"
    )


def block_means(array: NDArray[Any], shape: tuple[int, int]) -> Grid:
    """Average an array (h, w) over a grid of `shape` blocks, whose sides differ by at most one pixel."""
    result = array
    for axis, count in enumerate(shape):
        if count == array.shape[axis]:
            continue
        means = _block_means(result if axis == 0 else result.T, count)
        result = means if axis == 0 else means.T
    return result.astype(np.float64)


def _block_means(rows: NDArray[Any], count: int) -> Grid:
    """Average blocks of rows, in double precision. `np.add.reduceat` would take twice as long."""
    if len(rows) % count == 0:
        side = len(rows) // count
        whole = rows[::side].astype(np.float64)
        for place in range(1, side):
            whole += rows[place::side].astype(np.float64)  # converted apart, which is faster
        whole /= side
        return whole
    starts, sizes = _blocks(len(rows), count)
    sums = rows[starts].astype(np.float64)
    for place in range(1, int(sizes.max())):
        longer = np.flatnonzero(sizes > place)
        sums[longer] += rows[starts[longer] + place]
    return sums / sizes[:, None]


@functools.lru_cache(maxsize=64)
def _blocks(length: int, count: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the start and the length of each of `count` blocks of a side."""
    edges = np.linspace(0, length, count + 1).astype(int)
    return edges[:-1], np.diff(edges)


def _moved(now: Grid, was: Grid, tolerance: HeatmapTolerance) -> Iterator[Shift]:
    """Yield the change of the mean, and the movement of the centre of mass as a share of the side."""
    yield Shift("mean", mean(now) - mean(was), tolerance.largest)
    for axis, each in centre_moved(now, was).items():
        yield Shift(f"centre {axis}", each, tolerance.moved)


def _broken(now: Grid, was: Grid, largest: float, tolerance: HeatmapTolerance) -> Iterator[Statement]:
    """Yield in what the map says something else than the golden, and last that its numbers differ."""
    moved, rank = mass_moved(now, was), rank_correlation(now, was)
    if moved > tolerance.moved:
        sentence = f"the heat moved by {moved:.3g} of the side of the image (at most {tolerance.moved:g} is allowed)"
        yield Statement(Severity.EVIDENCE, "mass moved, share of the side", sentence, moved, tolerance.moved)
    if rank < tolerance.rank:
        sentence = f"its rank correlation with the golden is only {rank:.3g} (needs at least {tolerance.rank:g})"
        yield Statement(Severity.EVIDENCE, "rank correlation", sentence, rank, tolerance.rank)
    for share in TOP_SHARES:
        overlap = iou(top_area(now, share), top_area(was, share))
        if overlap < tolerance.top:
            sentence = (
                f"the hottest {share:.0%} overlap only {overlap:.2g} with those of the golden (IoU; needs at least "
                f"{tolerance.top:g})"
            )
            yield Statement(Severity.EVIDENCE, f"overlap of the hottest {share:.0%}", sentence, overlap, tolerance.top)
    sentence = f"the largest difference of a pixel is {largest:.3g} (at most {tolerance.largest:g} is allowed)"
    yield Statement(Severity.NUMBERS, "largest difference", sentence, largest, tolerance.largest)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
