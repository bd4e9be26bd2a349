"""Whatever is measured on maps shows in a stage: each of the metrics is broken in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.stats
import skimage.measure

from xai_eval.gate.stage_table import OF_MEASURES
from xai_eval.metrics import comparison as comparison_metrics
from xai_eval.metrics import faithfulness, focus, geometry
from xai_eval.metrics.geometry import Place
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image import map_rows
from xai_eval.tasks.reference import maps as known_maps

STAGES: Mapping[str, Callable[[], dict[Stage, Fingerprint]]] = {
    "localisation": known_maps.localisation_stage,
    "superpixels": known_maps.superpixel_stage,
    "comparison": known_maps.comparison_stage,
    "faithfulness": known_maps.faithfulness_stage,
    "paired test": known_maps.paired_stage,
    "search": known_maps.search_stage,
}


Breaks = Callable[[Callable[..., Any]], Callable[..., Any]]


def then(change: Callable[[Any], Any]) -> Breaks:
    """The right function, and `change` of what it finds."""
    return lambda right: lambda *args, **named: change(right(*args, **named))


def given(change: Callable[[Any], Any]) -> Breaks:
    """The right function of something else."""
    return lambda right: lambda first, *rest: right(change(first), *rest)


def changed(**values: Any) -> Breaks:
    return then(lambda found: dataclasses.replace(found, **values))


def first_of_the_hottest(saliency, mask, margin=(0, 0)):
    row, column = np.unravel_index(np.argmax(saliency), saliency.shape)
    top, left = max(0, row - margin[0]), max(0, column - margin[1])
    return bool(mask[top : row + margin[0] + 1, left : column + margin[1] + 1].any())


less = then(lambda found: found * 0.999)
backwards = then(lambda found: found[::-1])
mirrored = then(lambda mask: mask[:, ::-1])

# Stage, module, name, and what the right function becomes.
BROKEN: Mapping[str, tuple[str, ModuleType, str, Breaks]] = {
    "half a cell is a whole one": ("localisation", known_maps, "half_cell", given(lambda layer: np.divide(layer, 2))),
    "half a cell of the other axis": ("localisation", known_maps, "half_cell", backwards),
    "the first of the hottest": ("localisation", map_rows, "pointing_hit", lambda right: first_of_the_hottest),
    "no margin": ("localisation", map_rows, "pointing_hit", lambda right: lambda *args: right(*args[:2])),
    "energy": ("localisation", map_rows, "energy_inside", less),
    "equal area": ("localisation", map_rows, "iou_at_equal_area", less),
    "sweep": ("localisation", known_maps, "iou_sweep", backwards),
    "stability": ("superpixels", known_maps, "stability", changed(overlaps=(0.5,))),
    "best superpixels": ("superpixels", known_maps, "best_superpixels", backwards),
    "mask of an area": ("superpixels", known_maps, "mask_of_area", mirrored),
    "tolerance over seeds": ("superpixels", known_maps, "seed_tolerance", changed(errors=9.0)),
    "least overlap": ("superpixels", known_maps, "least_overlap", less),
    "chance": ("comparison", comparison_metrics, "chance_iou", less),
    "dice": ("comparison", comparison_metrics, "dice", less),
    "hottest": ("comparison", comparison_metrics, "hottest", mirrored),
    "centre across and down": (
        "comparison", geometry, "centre_of_mass", then(lambda place: place and Place(place.across, place.down))
    ),
    "shares of concepts": ("comparison", known_maps, "concept_shares", then(lambda shares: {"object": 0.3})),
    "words of a focus": ("comparison", focus, "_place", given(lambda mask: mask[::-1])),
    "blobs": ("comparison", known_maps, "blobs", then(lambda count: count + 1)),
    "neighbours across corners": (
        "comparison", skimage.measure, "label", lambda right: lambda mask, connectivity: right(mask, connectivity=1)
    ),
    "interval": ("comparison", known_maps, "mean_interval", changed(low=0.0)),
    "words of an insight": ("comparison", focus, "_agreement", given(lambda overlap: overlap - 0.02)),
    "distance of centres": ("faithfulness", known_maps, "centre_distance", less),
    "mean colour": ("faithfulness", faithfulness, "_mean_colour", then(lambda plain: plain - (plain > 200))),
    "curves": ("faithfulness", known_maps, "faithfulness", changed(deletion_curve=np.zeros(9))),
    "p-value": ("paired test", known_maps, "paired_test", changed(p=0.5)),
    "differences of 0": (
        "paired test", scipy.stats, "wilcoxon", lambda right: lambda values: right(values, zero_method="pratt")
    ),
    "wins": ("paired test", known_maps, "paired_test", changed(wins=0)),
    "mean ranks": ("search", known_maps, "mean_ranks", backwards),
    "ranks of ties": ("search", scipy.stats, "rankdata", lambda right: lambda values: right(values, method="min")),
    "settings without a value": (
        "search", known_maps, "mean_ranks", given(lambda values: np.nan_to_num(values, nan=9.0))
    ),
    "trust": ("search", known_maps, "trust", less),
    "winners": ("search", known_maps, "winners", then(lambda places: places[:-1])),
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_the_same_each_time(name):
    (found,) = STAGES[name]().items()
    assert found[0] == Stage(StageKind.MEASURES, name)
    assert STAGES[name]()[found[0]].digest == found[1].digest


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_metric_moves_its_stage(fault, monkeypatch):
    stage, module, name, breaks = BROKEN[fault]
    key = Stage(StageKind.MEASURES, stage)
    sound = STAGES[stage]()[key]
    monkeypatch.setattr(module, name, breaks(getattr(module, name)))
    assert STAGES[stage]()[key].distance(sound) > OF_MEASURES
