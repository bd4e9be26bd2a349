"""A signed attribution over the image: what speaks for the class and what speaks against it are compared apart."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.result.fields.base import Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.heatmap import (
    GOLDEN_SIDE,
    LOOSEST_MAP,
    TOP_SHARES,
    Grid,
    block_means,
    coarser_than_kept,
)
from xai_eval.result.map_similarity import centre_moved, iou, mass_moved, rank_correlation, top_area

PARTS = ("positive", "negative")
# A part of a map is nothing if it has less than this share of the range, or of the mass, of the whole map.
NOTHING = 0.01
# Cosine of two maps. A round spot that moved by three times its standard deviation has 0.11 with what it was.
_LEAST_IN_COMMON = 0.1
_STEPS = 255


@dataclass(frozen=True)
class SignedMapTolerance:
    """What may differ before a signed map counts as changed.

    Attributes:
        largest: largest difference of a pixel, as a share of the largest absolute value, after both maps are scaled to
            the same strength. Up to it two maps point to the same places, and the last three are not checked.
        scale: by which share the whole map may become stronger or weaker. 0.05 allows 5 %.
        rank: smallest allowed rank correlation of each part (positive and negative).
        top: smallest allowed IoU of the strongest 5, 10 and 20 % of the area of each part.
        moved: largest distance that the mass of each part may move, as a share of the side.
    """

    largest: float = 0.02
    scale: float = 0.05
    rank: float = 0.95
    top: float = 0.75
    moved: float = 0.02


@register
@dataclass(frozen=True)
class SignedMap(Field):
    """Map of shape (h, w), real numbers of any range: positive ones speak for the class, negative ones against it.

    Attributes:
        array: the map, (h, w). In a golden it is condensed: its positive and its negative part as absolute values,
            (2, h, w), as multiples of `unit`. The parts are apart because averages over both signs would cancel out.
        tolerance: what may differ.
        full_shape: shape before it was condensed for a golden; None if it never was.
        unit: what the values in `array` are multiplied with to give the map; 1 unless it was condensed.

    Raises:
        UsageError: the array is not an array of real numbers of shape (h, w).
    """

    kind: ClassVar[str] = "signed map"
    stored_as: ClassVar[Mapping[str, str]] = {"array": "map"}
    array: NDArray[np.floating[Any] | np.integer[Any]]
    tolerance: SignedMapTolerance = SignedMapTolerance()
    full_shape: tuple[int, int] | None = None
    unit: float = 1.0

    def __post_init__(self) -> None:
        axes = 2 if self.full_shape is None else 3
        if isinstance(self.array, np.ndarray) and self.array.ndim == axes and self.array.dtype.kind in "fiu":
            return
        shape, dtype = getattr(self.array, "shape", ""), getattr(self.array, "dtype", "")
        got = f"{type(self.array).__name__} {tuple(shape) if shape else ''} {dtype}".strip()
        raise UsageError(
            f"a signed map is made of {got}; expected a numpy array of real numbers of shape (h, w). Sum over the "
            "channels, take one image of the batch, and convert a tensor with .detach().cpu().numpy()."
        )

    @property
    def shape(self) -> tuple[int, int]:
        """The map's shape before it was condensed."""
        return self.full_shape or (self.array.shape[0], self.array.shape[1])

    @functools.cached_property
    def degenerate(self) -> str | None:
        """Why the map means nothing ('NaN', 'all zero', 'constant'), or None for a map that may mean something."""
        if not self.array.any():
            return "all zero"
        if not np.isfinite(self.array).all():
            return "NaN"
        positive, negative = self.parts
        # Block means of a map with both signs can be constant although the map is not.
        both_signs = positive.any() and negative.any()
        return "constant" if np.ptp(positive) == np.ptp(negative) == 0.0 and not both_signs else None

    @functools.cached_property
    def strength(self) -> float:
        """The largest absolute value of the map; 0 if it has no values."""
        return float(np.abs(self.array.astype(np.float64)).max()) * self.unit if self.array.size else 0.0

    @functools.cached_property
    def parts(self) -> Grid:
        """The positive and the negative part as absolute values, divided by `strength`: (2, h, w) in [0, 1]."""
        values = self.array.astype(np.float64) / (self.strength / self.unit)
        return values if self.full_shape else np.stack([np.clip(values, 0.0, None), np.clip(-values, 0.0, None)])

    @property
    def net(self) -> Grid:
        """The map, (h, w), or what is left of it after it was condensed: positive less negative part."""
        return np.asarray((self.parts[0] - self.parts[1]) * self.strength if self.strength else np.zeros(self._grid))

    def condensed(self) -> SignedMap:
        """Return block means of both parts, at most 56 x 56, in 255 steps: 6 KB, with rounding errors up to 0.2 %."""
        if max(self._grid) <= GOLDEN_SIDE:
            return self
        if self._meaningless:
            return self._without_numbers()
        small = _on_grid(self.parts, self._golden_grid)
        most = float(small.max())
        steps = np.rint(small / most * _STEPS).astype(np.uint8)
        # Numbers below the smallest that there is would become 0.
        return SignedMap(steps, self.tolerance, self.shape, max(self.strength * most / _STEPS, math.ulp(0.0)))

    def _without_numbers(self) -> SignedMap:
        """Condense a map that means nothing to what is wrong with it."""
        word = np.nan if self.degenerate == "NaN" else 0.0
        return SignedMap(np.full((2, *self._golden_grid), word, np.float16), self.tolerance, self.shape)

    @property
    def _grid(self) -> tuple[int, int]:
        return self.array.shape[-2], self.array.shape[-1]

    @property
    def _golden_grid(self) -> tuple[int, int]:
        return min(self.shape[0], GOLDEN_SIDE), min(self.shape[1], GOLDEN_SIDE)

    def differences(self, golden: SignedMap) -> Iterator[Difference]:
        """Per part the largest difference of a pixel, at the resolution of goldens or in full, and the change of scale.

        Ranking, strongest area and mass of a part are compared only if a pixel differs by more than its tolerance.
        """
        if self.shape != golden.shape:
            yield self._incomparable("shape", f"a map of {_by(golden.shape)} pixels became one of {_by(self.shape)}")
        elif coarser := coarser_than_kept(self.shape, self._grid, golden._grid):
            yield self._incomparable("resolution", coarser)
        elif self._meaningless != golden._meaningless:
            was, now = golden.degenerate or "valid", self.degenerate or "valid"
            yield self._incomparable("degenerate", f"the map was {was} and is {now} now")
        elif self._meaningless:
            yield from self._unchanged()
        else:
            pair = _aligned(self, golden)
            yield self._scale_difference(pair)
            for part in _parts(pair):
                yield self._part_difference(part)

    @property
    def _meaningless(self) -> str | None:
        """Why the map has nothing to compare. A constant map has: its value."""
        return None if self.degenerate == "constant" else self.degenerate

    def _unchanged(self) -> Iterator[Difference]:
        yield Difference("scale", 0.0, self.tolerance.scale)
        for name in PARTS:
            yield Difference(_largest(name), 0.0, self.tolerance.largest, cap=LOOSEST_MAP)

    def _incomparable(self, measure: str, sentence: str) -> Difference:
        told = [Statement(Severity.EVIDENCE, measure, sentence)]
        return Difference(_largest(PARTS[0]), math.inf, self.tolerance.largest, told, cap=LOOSEST_MAP)

    def _scale_difference(self, pair: _Aligned) -> Difference:
        factor, limit = pair.factor, self.tolerance.scale
        value = max(factor, 1.0 / factor) - 1.0 if factor > 0.0 else math.inf
        sentence = f"the values are {factor:.3g} times those of the golden (may become {limit:.0%} stronger or weaker)"
        told = [Statement(Severity.NUMBERS, "scale", sentence, value, limit)]
        shifts = [Shift("scale", factor - 1.0, limit)] if math.isfinite(value) else []
        return Difference("scale", value, limit, told, shifts)

    def _part_difference(self, part: _Part) -> Difference:
        value, limit = float(np.abs(part.now - part.was).max()), self.tolerance
        statements, shifts = _broken(part, value, limit), _moved(part, limit)
        return Difference(_largest(part.name), value, limit.largest, statements, shifts, LOOSEST_MAP)

    def _on(self, shape: tuple[int, int]) -> Grid:
        """Return block means of both parts; cached, because every comparison needs them."""
        if shape not in self._grids:
            self._grids[shape] = _on_grid(self.parts, shape)
        return self._grids[shape]

    @functools.cached_property
    def _grids(self) -> dict[tuple[int, int], Grid]:
        return {}


@dataclass(frozen=True)
class _Aligned:
    """The parts of two maps on one grid, (2, h, w) each, scaled to the same strength, with 1 as the largest value.

    Attributes:
        now: of the result.
        was: of the golden.
        factor: how many times as strong the result is as the golden.
    """

    now: Grid
    was: Grid
    factor: float


def _aligned(result: SignedMap, golden: SignedMap) -> _Aligned:
    """Scale the result to the strength that the golden has where both have values of the same sign."""
    (height, width), (rows, columns) = result._grid, golden._grid
    shape = min(height, rows), min(width, columns)
    now, was = result._on(shape), golden._on(shape)
    factor = _times(now, was)
    now = now / factor
    most = max(float(now.max()), float(was.max()))
    return _Aligned(now / most, was / most, factor * (result.strength / golden.strength))


def _times(now: Grid, was: Grid) -> float:
    """Return how many times as strong `now` is as `was`: the median over places, weighted by the product of both.

    Unlike a ratio of sums or of largest values, it is 1 if a part of the map is gone and the rest is as it was. If the
    map moved, both have hardly anything at the same places, and what they have there is no measure of their strength.
    Then it is the ratio of their norms.
    """
    weights = now * was
    both = weights > 0.0
    norms = float(np.linalg.norm(now)), float(np.linalg.norm(was))
    if float(weights.sum()) < _LEAST_IN_COMMON * norms[0] * norms[1]:
        return norms[0] / norms[1]
    logarithms = np.log(now[both] / was[both])
    order = np.argsort(logarithms, kind="stable")
    cumulated = np.cumsum(weights[both][order])
    return math.exp(float(logarithms[order][np.searchsorted(cumulated, cumulated[-1] / 2.0)]))


def _on_grid(parts: Grid, shape: tuple[int, int]) -> Grid:
    return parts if parts.shape[1:] == shape else np.stack([block_means(part, shape) for part in parts])


@dataclass(frozen=True)
class _Part:
    """The positive or the negative part of two maps, (h, w) each, on the scale of the whole maps.

    Attributes:
        name: 'positive' or 'negative'.
        now: of the result.
        was: of the golden.
        mass: the larger of its two shares of the mass of the whole map.
    """

    name: str
    now: Grid
    was: Grid
    mass: float

    @property
    def peaks(self) -> tuple[float, float]:
        """The largest value in both maps, the smaller one first."""
        least, most = sorted((float(self.now.max()), float(self.was.max())))
        return least, most

    @property
    def counts(self) -> bool:
        """Whether it is more than nothing in at least one of the maps."""
        return self.peaks[1] >= NOTHING and self.mass >= NOTHING

    @property
    def in_both(self) -> bool:
        """Whether both maps have it. Half of the limit tells 'hardly anything' from 'a little less'."""
        return self.peaks[0] >= NOTHING / 2


def _parts(pair: _Aligned) -> Iterator[_Part]:
    totals = float(pair.now.sum()), float(pair.was.sum())
    for name, now, was in zip(PARTS, pair.now, pair.was, strict=True):
        yield _Part(name, now, was, max(float(now.sum()) / totals[0], float(was.sum()) / totals[1]))


def _moved(part: _Part, tolerance: SignedMapTolerance) -> Iterator[Shift]:
    """Yield the change of the mean of a part, and the movement of its centre as a share of the side."""
    yield Shift(f"mean of the {part.name} part", float(part.now.mean() - part.was.mean()), tolerance.largest)
    if part.counts and part.in_both:
        for axis, each in centre_moved(part.now, part.was).items():
            yield Shift(f"centre {axis} of the {part.name} part", each, tolerance.moved)


def _broken(part: _Part, largest: float, tolerance: SignedMapTolerance) -> Iterator[Statement]:
    """Yield in what a part of the map says something else than the golden, and last that its numbers differ."""
    if part.counts and part.in_both:
        yield from _points_elsewhere(part, tolerance)
    elif part.counts:
        became = "appeared" if part.now.max() > part.was.max() else "is gone"
        sentence = f"the {part.name} part {became}: only one of the maps has values above {NOTHING:.0%} of the largest"
        yield Statement(Severity.EVIDENCE, f"{part.name} part", sentence)
    sentence = (
        f"the largest difference of a pixel in the {part.name} part is {largest:.2%} of the largest value (at most "
        f"{tolerance.largest:.2%} is allowed)"
    )
    yield Statement(Severity.NUMBERS, _largest(part.name), sentence, largest, tolerance.largest)


def _points_elsewhere(part: _Part, tolerance: SignedMapTolerance) -> Iterator[Statement]:
    """Compare the places of a part. It is scaled to its own largest value, so that a weak part has places, too."""
    name, now, was = part.name, part.now / part.peaks[1], part.was / part.peaks[1]
    moved, rank = mass_moved(now, was), rank_correlation(now, was)
    if moved > tolerance.moved:
        sentence = f"the {name} part moved by {moved:.3g} of the side of the image (at most {tolerance.moved:g})"
        yield Statement(Severity.EVIDENCE, f"{name} part: mass moved", sentence, moved, tolerance.moved)
    if rank < tolerance.rank:
        sentence = f"the rank correlation of the {name} part is only {rank:.3g} (needs at least {tolerance.rank:g})"
        yield Statement(Severity.EVIDENCE, f"{name} part: rank correlation", sentence, rank, tolerance.rank)
    for share in TOP_SHARES:
        overlap = iou(top_area(now, share), top_area(was, share))
        if overlap < tolerance.top:
            sentence = (
                f"the strongest {share:.0%} of the {name} part overlap only {overlap:.2g} with those of the golden "
                f"(IoU; needs at least {tolerance.top:g})"
            )
            measure = f"{name} part: overlap of the strongest {share:.0%}"
            yield Statement(Severity.EVIDENCE, measure, sentence, overlap, tolerance.top)


def _largest(part: str) -> str:
    return f"{part} part: largest difference"


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"
