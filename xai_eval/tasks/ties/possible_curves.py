"""What deletion and insertion could have been if rounding had put nearly equal pixels into another order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.faithfulness import STEPS, Canvas, Pixels, Predict, _of_pixels, _taken
from xai_eval.result.fields.possible import Possible
from xai_eval.tasks.ties.bounds import Values, _clusters, _reach

# Up to so many nearly equal values are tried in every order. A map that is not made of superpixels has long rows of
# nearly equal values; there a swap moves few pixels, and is not tried.
MOST_TIED = 4
# Ties of fewer pixels than this share of a step hardly move a curve.
_LEAST_OF_STEP = 0.1

Places = NDArray[np.intp]


def possible_curves(
    row: Mapping[str, Any], saliency: Values, pixels: Pixels | Canvas, predict: Predict, label: int, rounding: float
) -> dict[str, Possible]:
    """Return what could have stood in place of deletion and insertion; nothing if no order is in doubt.

    At each point of the curves, all orders of the nearly equal values around it are tried, so that the result holds
    what any of them gives. The model is asked only for points at which the order is in doubt.

    Args:
        row: as `scored_row` returned it.
        saliency: the map, (h, w), by whose order pixels were taken.
        pixels: the image as the model sees it, uint8 (h, w, 3), or its canvas.
        predict: computes probabilities (N, C) from images uint8 (N, h, w, 3).
        label: index of the explained class.
        rounding: how far apart two values may be and still be tied, see `bounds`.
    """
    doubts = list(_doubts(saliency.reshape(-1), rounding))
    if not doubts or math.isnan(row["deletion"]):
        return {}
    masks = np.stack([mask for each in doubts for mask in each.hot]).reshape(-1, *saliency.shape)
    found = _of_pixels(masks, pixels, predict, label)
    deletion = _range(row["deletion"], found.deletion_curve, doubts)
    insertion = _range(row["insertion"], found.insertion_curve, doubts)
    less = Possible(insertion.low - deletion.high, insertion.high - deletion.low)
    return {"deletion": deletion, "insertion": insertion, "insertion_less_deletion": less}


@dataclass(frozen=True, eq=False)
class _Doubt:
    """A point of the curves at which it is in doubt which pixels are taken.

    Attributes:
        hot: the pixels that are taken, bool (n,) each: first as it is, then in every other order.
    """

    hot: Sequence[NDArray[np.bool_]]


def _range(value: float, points: NDArray[np.float64], doubts: Sequence[_Doubt]) -> Possible:
    """Return the smallest and the largest area under a curve, of which `points` are those in doubt, in all orders."""
    ends = np.cumsum([len(each.hot) for each in doubts])[:-1]
    moves = [part - part[0] for part in np.split(points, ends)]
    return Possible(
        value + sum(each.min() for each in moves) / STEPS, value + sum(each.max() for each in moves) / STEPS
    )


def _doubts(values: Values, rounding: float) -> Iterator[_Doubt]:
    taken, start = _taken(values.size, STEPS), 0
    for cluster in _clusters(values, rounding):
        end = start + len(cluster)
        inside = taken[(taken > start) & (taken < end)]
        if len(inside) and len(cluster) >= _LEAST_OF_STEP * values.size / STEPS:
            orders, before = _orders(values, cluster, rounding), np.flatnonzero(values > values[cluster[0]])
            for count in inside if len(orders) > 1 else ():
                yield _doubt(values.size, before, orders, int(count) - start)
        start = end


def _doubt(size: int, before: Places, orders: Sequence[Places], count: int) -> _Doubt:
    return _Doubt([_marked(size, [before, order[:count]]) for order in orders])


def _marked(size: int, places: Sequence[Places]) -> NDArray[np.bool_]:
    found = np.zeros(size, dtype=bool)
    for each in places:
        found[each] = True
    return found


def _orders(values: Values, cluster: Places, rounding: float) -> list[Places]:
    """Return the orders in which rounding could have put the places of a cluster; first the one that they are in."""
    own = values[cluster].astype(np.float64)
    known = np.unique(own)[::-1].tolist()
    if not 1 < len(known) <= MOST_TIED:
        return [cluster]
    # Equal values are in reading order.
    reach, groups = _reach(values, rounding), {value: cluster[own == value] for value in known}
    found = [
        np.concatenate([groups[value] for value in order])
        for order in itertools.permutations(known)
        if all(later - earlier <= reach for earlier, later in itertools.combinations(order, 2))
    ]
    # Values that become equal are taken in reading order, whichever superpixel they belong to.
    return [*found, np.sort(cluster)] if known[0] - known[-1] <= reach else found
