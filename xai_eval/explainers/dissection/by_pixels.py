"""Label units by pixel labels over a whole probe set, and measure the overlap that chance gives.

Network Dissection: Bau, Zhou, Khosla, Oliva and Torralba, CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable
from xai_eval.explainers.dissection.counts import Counts
from xai_eval.explainers.dissection.netdissect import (
    SHARE,
    BestConcepts,
    LabelledMaps,
    add_image,
    best_concepts,
    other_images,
)
from xai_eval.explainers.dissection.probe_pass import ProbePass


@dataclass(frozen=True, eq=False)
class PixelLabels:
    """Overlap of the J units of a layer with L concepts.

    Attributes:
        counts: numbers of pixels; `counts.iou()` is the IoU of each unit with each concept, (J, L).
        by_chance: the largest IoU of each unit after label maps were swapped between images, for R shuffles, (R, J).
    """

    counts: Counts
    by_chance: NDArray[np.float64]

    @cached_property
    def best(self) -> BestConcepts:
        """The concept that overlaps most with each unit."""
        return best_concepts(self.counts.iou(), self.counts.vocabulary)


def label_by_pixels(probe_pass: ProbePass, layer: int, shuffles: int, seed: int) -> PixelLabels | None:
    """Compare where the units of a layer are active with the label maps of the probe set.

    Args:
        probe_pass: the finished pass over the probe set.
        layer: index into `DissectionPlan.layers`.
        shuffles: how often to swap the label maps between images, to measure the overlap by chance.
        seed: seed of the shuffles.

    Returns:
        The overlaps; None if the layer gives no maps, or the probe set has no labels.

    Raises:
        InputUnavailable: no pixel of any image is labelled, and CLIP is not used either.
    """
    top, probe = probe_pass.whole.layers[layer].top, probe_pass.plan.probe
    if top is None or not probe.concepts:
        return None
    count = len(probe_pass.whole.positions)
    # With a single image there is no other image whose labels it could get.
    chances = shuffles if count > 1 else 0
    orders = [np.arange(count), *(other_images(count, seed + each) for each in range(chances))]
    found, *chance = _count(probe_pass, layer, top.quantile(SHARE), orders)
    if not found.label.any():
        if probe_pass.plan.clip is not None:
            return None
        raise InputUnavailable(
            f"no pixel of the {count} images of {probe.name} is labelled: all of their label maps are empty. Check "
            "labels/ and classes.txt."
        )
    best = [each.iou().max(axis=1) for each in chance]
    return PixelLabels(found, np.array(best).reshape(chances, len(top.values)))


def _count(
    probe_pass: ProbePass, layer: int, thresholds: NDArray[np.float64], orders: Sequence[NDArray[np.int64]]
) -> list[Counts]:
    """Count pixels over all images, once for each order of the label maps."""
    shown = partial(probe_pass.shown, probe_pass.preparation_of(layer))
    totals = [Counts.nothing(len(thresholds), probe_pass.vocabulary) for _ in orders]
    for row, units, maps in _maps_of_all(probe_pass, layer, thresholds):
        labels = [shown(int(order[row])) for order in orders]
        add_image(totals, LabelledMaps(units, maps, labels), thresholds)
    return totals


def _maps_of_all(
    probe_pass: ProbePass, layer: int, thresholds: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Yield for each image its row, the units that exceed their thresholds (n,), and their maps (n, h, w)."""
    rest = set(probe_pass.rows.values())
    for part in probe_pass.maps(layer):
        for position, units, maps in part.above(thresholds).by_image():
            rest.remove(probe_pass.rows[position])
            yield probe_pass.rows[position], units, maps
    for row in sorted(rest):
        # The labels of an image count even if no unit is active on it.
        yield row, np.zeros(0, dtype=np.int64), np.zeros((0, 1, 1), dtype=np.float32)
