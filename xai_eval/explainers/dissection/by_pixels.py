"""Labels of units by pixel labels: where a unit is most active, which concept is there (Bau et al., Network
Dissection: Quantifying Interpretability of Deep Visual Representations, 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_eval.explainers.dissection.counts import Counts
from xai_eval.explainers.dissection.netdissect import ActivePixels, active, overlap
from xai_eval.explainers.dissection.seen import SeenPicture
from xai_eval.explainers.dissection.study import ACTIVE_SHARE
from xai_eval.explainers.dissection.sweep import Sweep


@dataclass(frozen=True, eq=False)
class PixelLabels:
    """Overlap of every unit of a layer with every concept.

    Attributes:
        counts: pixels, from which `counts.iou()` is (J, L).
        by_chance: the largest IoU of each unit when pictures have each other's label maps, (R, J).
    """

    counts: Counts
    by_chance: NDArray[np.float64]


def label_by_pixels(sweep: Sweep, layer: int, shuffles: int, seed: int) -> PixelLabels | None:
    """Hold a layer's maps against the label maps of the probe set; None where it gives no maps, or there are no labels.

    Args:
        sweep: the pass that saw them.
        layer: index into `Study.layers`.
        shuffles: how often label maps change places over pictures, to see what chance gives.
        seed: of the shuffling.
    """
    top = sweep.whole.layers[layer].top
    if top is None or not sweep.study.probe.concepts:
        return None
    count = len(sweep.whole.positions)
    orders = [np.arange(count), *(np.random.RandomState([seed, each]).permutation(count) for each in range(shuffles))]
    found, *chance = _count(sweep, layer, top.quantile(ACTIVE_SHARE), orders)
    best = [each.iou().max(axis=1) for each in chance]
    return PixelLabels(found, np.array(best).reshape(shuffles, len(top.values)))


def _count(
    sweep: Sweep, layer: int, thresholds: NDArray[np.float64], orders: Sequence[NDArray[np.intp]]
) -> list[Counts]:
    """Count over all pictures, once for every order of their label maps."""
    seen, rest = sweep.seen(layer), set(sweep.rows.values())
    totals = [Counts.none(len(thresholds), sweep.study.probe.concepts) for _ in orders]
    for row, units, maps in _active_maps(sweep, layer, thresholds):
        rest.remove(row)
        _include(totals, seen, [order[row] for order in orders], units, maps, thresholds)
    nothing = np.zeros((0, 1, 1), dtype=np.float32)
    for row in rest:
        _include(totals, seen, [order[row] for order in orders], np.zeros(0, dtype=np.int64), nothing, thresholds)
    return totals


def _active_maps(
    sweep: Sweep, layer: int, thresholds: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Go through the pictures on which some unit exceeds its threshold: row, units (n,), maps (n, h, w)."""
    for part in sweep.maps(layer):
        for position, units, maps in part.above(thresholds).by_picture():
            yield sweep.rows[position], units, maps


def _include(
    totals: Sequence[Counts],
    seen: Sequence[SeenPicture],
    rows: Sequence[int],
    units: NDArray[np.int64],
    maps: NDArray[np.float32],
    thresholds: NDArray[np.float64],
) -> None:
    """Count one picture with the label maps at `rows`, one for every total."""
    found: ActivePixels | None = None
    for total, row in zip(totals, rows, strict=True):
        packed = seen[row].labels
        if packed is None:
            continue
        labels = packed.unpack()
        if found is None:
            found = ActivePixels.of(active(maps, thresholds[units], labels.shape[1:]))
        total.include(units, overlap(found, labels))
