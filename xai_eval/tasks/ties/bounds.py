"""What measures that jump could have been if rounding had moved their inputs: the worst and the best over all ties.

Ranks, thresholds and the hottest pixels change at once where two values are nearly equal. Another number of threads, or
another device, decides such ties otherwise. Every function here takes `rounding`: how far apart two values may be, as a
share of the largest absolute value, and still change places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.superpixels import ROUNDING
from xai_eval.result.fields.possible import Possible
from xai_eval.result.precisions import coarseness

Values = NDArray[np.floating[Any]]
BoolMask = NDArray[np.bool_]

# Threads, batches, memory formats and mkldnn move activations and logits by up to 2e-5 on a CPU; TF32 on a GPU moves
# them by about 1e-3 (gate/stage_table.py). Each of two values may move by so much.
ON_CPU = 2 * 2e-5
ELSEWHERE = 2 * 1e-3


def rounding_on(device: str) -> float:
    """Return how far apart two values may be on a device (`cpu`, `cuda`, ...), as a share of the largest value.

    In half precision, they may be as far apart as on a GPU; in bfloat16, which is coarser than TF32, farther.
    """
    from xai_eval.inputs.models.precision import autocast_in_use

    half = autocast_in_use()
    return ON_CPU if device == "cpu" and not half else ELSEWHERE * coarseness(half)


@dataclass(frozen=True, eq=False)
class Bounds:
    """A mask of which rounding leaves a part undecided.

    Attributes:
        surely: the pixels that are in the mask whatever rounding does, bool (h, w).
        maybe: these, and those that rounding could have put into it, bool (h, w).
    """

    surely: BoolMask
    maybe: BoolMask

    @property
    def undecided(self) -> BoolMask | None:
        """The pixels that only rounding decides about; None if there are none."""
        found = self.maybe & ~self.surely
        return found if found.any() else None


def exactly(mask: BoolMask) -> Bounds:
    """Return the bounds of a mask that rounding does not touch."""
    return Bounds(mask, mask)


def _reach(values: Values, rounding: float) -> float:
    """Return how far apart two values may be and still change places; 0 for values that are not finite."""
    most = float(np.abs(values.astype(np.float64)).max(initial=0.0))
    return rounding * most if np.isfinite(most) else 0.0


def above(saliency: Values, threshold: float, rounding: float) -> Bounds:
    """Return the bounds of the pixels above a threshold."""
    reach = _reach(saliency, rounding)
    return Bounds(saliency > threshold + reach, saliency > threshold - reach)


def hottest_bounds(saliency: Values, least: int, most: int, rounding: float) -> Bounds:
    """Return the bounds of the hottest pixels of a map if rounding leaves open how many are taken.

    Args:
        saliency: the map, (h, w).
        least: the smallest number of pixels.
        most: the largest number of pixels.
        rounding: as above.
    """
    reach, ordered = _reach(saliency, rounding), np.sort(saliency.reshape(-1).astype(np.float64))[::-1]
    # The first pixel that is left out decides about those that are taken, and the last one that is taken about others.
    surely = saliency > ordered[least] + reach if least < ordered.size else np.ones(saliency.shape, dtype=bool)
    maybe = saliency >= ordered[most - 1] - reach if most else np.zeros(saliency.shape, dtype=bool)
    return Bounds(surely & maybe, maybe) if least else Bounds(np.zeros(saliency.shape, dtype=bool), maybe)


def best_superpixels_bounds(weights: Values, segments: NDArray[np.integer[Any]], count: int, rounding: float) -> Bounds:
    """Return the bounds of the mask of the `count` superpixels with the largest positive weights, bool (h, w)."""
    found = hottest_bounds(weights, min(count, len(weights)), min(count, len(weights)), rounding)
    positive = above(weights, ROUNDING, rounding)
    return Bounds((found.surely & positive.surely)[segments], (found.maybe & positive.maybe)[segments])


def area_bounds(weights: Values, segments: NDArray[np.integer[Any]], share: float, rounding: float) -> Bounds:
    """Return the bounds of the mask of the best superpixels whose area is nearest to a share of the image.

    See `superpixels.mask_of_area`. Superpixels of nearly the same weight may come in any order, and only where the mask
    ends among them does their order matter.
    """
    positive, target = above(weights, ROUNDING, rounding), share * segments.size
    areas = np.bincount(segments.reshape(-1), minlength=len(weights))
    surely, maybe = np.zeros(len(weights), dtype=bool), np.zeros(len(weights), dtype=bool)
    before = 0
    for tied in _clusters(weights, rounding):
        members = tied[positive.maybe[tied]]
        area = int(areas[members].sum())
        if not len(members) or (before and before >= target):
            break
        after = before + area
        # A single superpixel is taken if the mask comes nearer to the share with it, or would be empty without it.
        taken = not before or abs(after - target) < abs(before - target)
        maybe[members] = taken or len(members) > 1
        surely[members] = after <= target or (taken and len(members) == 1)
        before = after
    return Bounds((surely & positive.surely)[segments], maybe[segments])


def _clusters(values: Values, rounding: float) -> list[NDArray[np.intp]]:
    """Return the places of values, the largest first, in groups of which any two neighbours may change places."""
    order = np.argsort(-values, kind="stable")
    gaps = -np.diff(values[order].astype(np.float64))
    return np.split(order, np.flatnonzero(gaps > _reach(values, rounding)) + 1)


def possible_iou(first: Bounds, second: Bounds) -> Possible:
    """Return the smallest and the largest IoU that two masks could have had, in [0, 1]."""
    low = _ratio(first.surely & second.surely, first.maybe | second.maybe)
    both = first.maybe & second.maybe
    return Possible(low, _ratio(both, both | first.surely | second.surely))


def possible_share(mask: Bounds, inside: BoolMask) -> Possible:
    """Return the smallest and the largest share of a mask that could have lain in an area; NaN for an empty mask."""
    if not mask.maybe.any():
        return Possible(float("nan"), float("nan"))
    # If the mask has no pixel for sure, those that it may have lie on one side of the edge in each of the two cases.
    low = _ratio(mask.surely & inside, mask.surely | (mask.maybe & ~inside), empty=1.0)
    return Possible(low, _ratio(mask.maybe & inside, mask.surely | (mask.maybe & inside), empty=0.0))


def _ratio(part: BoolMask, whole: BoolMask, empty: float = 1.0) -> float:
    total = int(np.count_nonzero(whole))
    return int(np.count_nonzero(part)) / total if total else empty


def possible_pointing_hit(
    saliency: Values, mask: BoolMask, rounding: float, margin: tuple[int, int] = (0, 0)
) -> Possible:
    """Return 0 or 1 for no or yes: whether the hottest pixel could have missed the object, and could have hit it.

    Any pixel that is nearly as hot as the hottest could have been it. See `localisation.pointing_hit`.
    """
    tied = np.argwhere(saliency >= saliency.max() * (1.0 - rounding))
    hits = {_is_near(mask, int(row), int(column), margin) for row, column in tied}
    return Possible(float(all(hits)), float(any(hits)))


def _is_near(mask: BoolMask, row: int, column: int, margin: tuple[int, int]) -> bool:
    top, left = max(0, row - margin[0]), max(0, column - margin[1])
    return bool(mask[top : row + margin[0] + 1, left : column + margin[1] + 1].any())


def possible_rank_correlation(first: Values, second: Values, rounding: float) -> Possible:
    """Return the smallest and the largest rank correlation (Spearman) that two arrays, (n,), could have had.

    Values that are nearly equal may come in any order. The correlation is largest if those that are tied in one array
    follow the order of the other, and smallest if they follow the reverse.
    """
    groups = [_group_numbers(each, rounding) for each in (first, second)]
    found = [_correlation(first, second), *correlations_of_groups(*groups)]
    known = [each for each in found if not np.isnan(each)]
    return Possible(min(known), max(known)) if known else Possible(float("nan"), float("nan"))


def correlations_of_groups(first: NDArray[np.int64], second: NDArray[np.int64]) -> list[float]:
    """Return the rank correlation of two arrays, (n,), if values of one group are equal, and the extremes if not.

    Args:
        first: numbers of the groups of values that may come in any order, from the smallest to the largest.
        second: the same of the other array.
    """
    # With equal values that stay equal, as they may in one of two runs, and with values that all differ.
    found, place = [_correlation(first, second)], np.arange(len(first))
    for sign in (1, -1):
        ranks = _ranks_by(first, sign * second, place), _ranks_by(second, sign * first, sign * place)
        found.append(_correlation(*ranks))
    return found


def _group_numbers(values: Values, rounding: float) -> NDArray[np.int64]:
    """Number values by groups of nearly equal ones, from the smallest to the largest."""
    numbers, clusters = np.empty(len(values), dtype=np.int64), _clusters(values, rounding)
    for number, places in enumerate(reversed(clusters)):
        numbers[places] = number
    return numbers


def _ranks_by(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """Rank by the first key, then by the others."""
    order = np.lexsort(tuple(reversed(keys)))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)
