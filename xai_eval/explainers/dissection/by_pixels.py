"""Labels of units by pixel labels, over a whole probe set, and what chance would have given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable
from xai_eval.explainers.dissection.counts import ConceptIndex, Counts
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
    """Overlap of every unit of a layer with every concept.

    Attributes:
        counts: pixels, from which `counts.iou()` is (J, L).
        by_chance: the largest IoU of each unit when images have each other's label maps, (R, J).
    """

    counts: Counts
    by_chance: NDArray[np.float64]

    @cached_property
    def best(self) -> BestConcepts:
        """The concept that overlaps most with each unit."""
        return best_concepts(self.counts.iou(), self.counts.vocabulary)


def label_by_pixels(probe_pass: ProbePass, layer: int, shuffles: int, seed: int) -> PixelLabels | None:
    """Hold a layer's maps against the label maps of the probe set; None where it gives no maps, or there are no labels.

    Args:
        probe_pass: the pass that saw them.
        layer: index into `DissectionPlan.layers`.
        shuffles: how often label maps change places over images, to see what chance gives.
        seed: of the shuffling.

    Raises:
        InputUnavailable: not one pixel is labelled, and CLIP is not asked either.
    """
    top, probe = probe_pass.whole.layers[layer].top, probe_pass.plan.probe
    if top is None or not probe.concepts:
        return None
    count = len(probe_pass.whole.positions)
    # One image cannot have another one's labels.
    chances = shuffles if count > 1 else 0
    orders = [np.arange(count), *(other_images(count, seed + each) for each in range(chances))]
    found, *chance = _count(probe_pass, layer, top.quantile(SHARE), orders)
    if not found.label.any():
        if probe_pass.plan.clip is not None:
            return None
        raise InputUnavailable(
            f"no pixel of the {count} images of {probe.name} is labelled: all of their label maps are void. Check "
            "labels/ and classes.txt."
        )
    best = [each.iou().max(axis=1) for each in chance]
    return PixelLabels(found, np.array(best).reshape(chances, len(top.values)))


def _count(
    probe_pass: ProbePass, layer: int, thresholds: NDArray[np.float64], orders: Sequence[NDArray[np.int64]]
) -> list[Counts]:
    """Count over all images, once for every order of their label maps."""
    seen = probe_pass.summaries(layer)
    vocabulary = ConceptIndex.of([each.category for each in probe_pass.plan.probe.concepts])
    totals = [Counts.nothing(len(thresholds), vocabulary) for _ in orders]
    for row, units, maps in _maps_of_all(probe_pass, layer, thresholds):
        for total, order in zip(totals, orders, strict=True):
            packed = seen[order[row]].labels
            if packed is not None:
                add_image(total, LabelledMaps(units, maps, packed.unpack()), thresholds)
    return totals


def _maps_of_all(
    probe_pass: ProbePass, layer: int, thresholds: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Go through all images: row, units that exceed their thresholds (n,), their maps (n, h, w)."""
    rest = set(probe_pass.rows.values())
    for part in probe_pass.maps(layer):
        for position, units, maps in part.above(thresholds).by_image():
            rest.remove(probe_pass.rows[position])
            yield probe_pass.rows[position], units, maps
    for row in sorted(rest):
        # Its labels count even where no unit is active.
        yield row, np.zeros(0, dtype=np.int64), np.zeros((0, 1, 1), dtype=np.float32)
