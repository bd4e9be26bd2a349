"""The fixed arguments with which each metric is checked, by the module of the metric and by its name.

Metrics that others are built on come first, both within a module and among the modules. So the first metric that gives
a wrong answer is the one that broke, and not one that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.comparison import POLICIES, CamExplanation, LimeWeights, MaskPolicy
from xai_eval.metrics.search import Objective
from xai_eval.result.fields import Heatmap, HeatmapTolerance
from xai_eval.tasks.reference.inputs import (
    LABELS,
    LAYER,
    OTHER_LABELS,
    SCORES,
    SHAPE,
    STEPS,
    TIED,
    brightness_of_object,
    drawn,
    known_activation,
    known_concepts,
    known_maps,
    known_masks,
    known_object,
    known_pixels,
    known_plateau,
    known_presence,
    known_segments,
    known_subject,
    known_units,
    known_weights,
)

# One tuple of positional arguments per call of a metric.
ArgumentTuples = Iterable[tuple[Any, ...]]

_MARGIN = (7, 8)  # half a cell of `LAYER`
_NAN = float("nan")
_OBJECTIVES = (Objective("more", 1), Objective("less", -1))
# Of eight differences only one is negative, the one with this rank. From rank 3 to 4, Wilcoxon's p rises above 0.05.
_LOST = (3, 4, 6)
# Equal activations must be active together. If they were taken one by one, the first example would give 2.
_TIED_ACTIVATIONS = (
    ((3, 3, 2, 2, 2, 1), (1, 1, 1, 0, 0, 0)),
    ((3, 3, 3, 1, 1, 0), (1, 0, 0, 1, 1, 0)),
    ((4, 3, 2, 1, 0, 0), (0, 1, 1, 0, 0, 0)),
)


def _table() -> ArgumentTuples:
    """Return one empty tuple, because a table is compared as it is."""
    return [()]


def _of_maps(*others: Callable[[], Any]) -> Callable[[], ArgumentTuples]:
    """Return arguments for every map: the map, followed by the values that `others` return."""
    return lambda: [(saliency, *(other() for other in others)) for saliency in known_maps()]


def _pointing() -> ArgumentTuples:
    maps = (*known_maps(), known_plateau())
    of_maps = [(saliency, known_object(), margin) for saliency in maps for margin in ((0, 0), _MARGIN)]
    # Just within a margin of the object and just outside, on each side; between two others; beside the image's border.
    places = ((4, 9), (3, 9), (17, 9), (18, 9), (10, 1), (10, 0), (10, 16), (10, 17))
    near = [(_peaks(place), known_object(), (2, 3)) for place in places]
    between = _peaks((10, 9), (2, 20), (20, 2)), known_object(), (0, 0)
    return [*of_maps, *near, between, (_peaks((3, 3)), _peaks((0, 0)) > 0, (3, 3))]


def _peaks(*places: tuple[int, int]) -> NDArray[np.float32]:
    found = np.zeros(SHAPE, dtype=np.float32)
    for place in places:
        found[place] = 1.0
    return found


def _map_rows() -> ArgumentTuples:
    tolerance = HeatmapTolerance(largest=1.0)
    return [("known", Heatmap(saliency, tolerance), known_object(), _MARGIN) for saliency in known_maps()]


def _signed() -> list[NDArray[Any]]:
    """Return maps with negative values.

    The last four are all negative, constant, constant and negative, and NaN.
    """
    flat = np.ones(SHAPE, dtype=np.float32)
    against = -known_maps()[1]
    return [*(saliency - 0.25 for saliency in known_maps()), against, flat, -flat, flat * np.float32(_NAN)]


def _scored_rows() -> ArgumentTuples:
    heatmaps = [Heatmap(_positive(saliency), HeatmapTolerance(largest=1.0)) for saliency in _signed()]
    rest = known_subject(), _MARGIN, brightness_of_object
    return [("known", saliency, heatmap, *rest) for saliency, heatmap in zip(_signed(), heatmaps, strict=True)]


def _positive(saliency: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(np.maximum(saliency, 0.0), dtype=np.float32)


def _pairs_of_masks() -> ArgumentTuples:
    return [*((mask, known_object()) for mask in known_masks()), (known_masks()[-1], known_masks()[-1])]


def _pairs_of_maps() -> ArgumentTuples:
    return [(saliency, known_maps()[0]) for saliency in (*known_maps(), np.zeros(SHAPE))]


def _seeds_and_shares(shares: Iterable[Any]) -> ArgumentTuples:
    return [(weights, known_segments(), share) for weights, share in product(known_weights()[:2], shares)]


def _explanations() -> list[tuple[CamExplanation, LimeWeights]]:
    lime = LimeWeights(0, known_weights()[0], known_segments())
    return [(CamExplanation(0, saliency), lime) for saliency in known_maps()]


def _compared() -> ArgumentTuples:
    return [(*pair, MaskPolicy(name)) for pair in _explanations() for name in POLICIES]


def _focus() -> ArgumentTuples:
    every: list[dict[str, NDArray[np.bool_]]] = [known_concepts(), {"object": known_object()}, {}]
    ten = np.zeros(SHAPE, dtype=bool)
    ten[0, :10] = True
    return [*((mask, concepts) for mask in known_masks() for concepts in every), (ten, {"tenth": _peaks((0, 0)) > 0})]


def _insights() -> ArgumentTuples:
    """Return arguments on, just below and just above every threshold."""
    ious = ((0.5, 0.41), (0.5, 0.39), (0.39, 0.5), (0.1, 0.0), (0.0, 0.1))
    of_one = [(overlap, 0.9, None, None) for overlap in (_NAN, 0.19, 0.2, 0.21, 0.49, 0.5, 0.51)]
    return [*of_one, *((0.3, r2, pair, "in doubt") for r2, pair in product((0.49, 0.5, 0.51), ious))]


def _paired() -> ArgumentTuples:
    every = known_weights()
    half_equal = np.where(np.arange(every.shape[1]) % 2, every[0], every[1])
    pairs = (every[0], every[1]), (every[1], every[4]), (every[2], every[2]), (every[0], half_equal)
    steps = np.arange(1, 9)
    won = [(np.where(steps == lost, -steps, steps) / 16, np.zeros(8)) for lost in _LOST]
    every_pair = [*pairs, *won, *((second, first) for first, second in won)]
    return [(first.tolist(), second.tolist()) for first, second in every_pair]


def _faithfulness() -> ArgumentTuples:
    return [(saliency, known_pixels(), brightness_of_object, 0, STEPS) for saliency in known_maps()]


def _ranked() -> ArgumentTuples:
    return list(product((known_weights(), TIED), _OBJECTIVES))


def _settings() -> ArgumentTuples:
    return list(product((*known_weights(), *TIED), _OBJECTIVES))


def _trusted() -> ArgumentTuples:
    return [
        (row, rows[0], objective) for rows, objective in product((known_weights(), TIED), _OBJECTIVES) for row in rows
    ]


def _thresholds() -> ArgumentTuples:
    tied = ((np.array(activation, float), np.array(presence, bool)) for activation, presence in _TIED_ACTIVATIONS)
    return [(known_activation(), known_presence()), *tied]


def _active() -> ArgumentTuples:
    return [(known_activation() >= threshold, known_presence()) for threshold in (0.5, 0.9)]


def _judged() -> ArgumentTuples:
    nothing, everything = np.zeros(40), np.ones(40, dtype=bool)
    without = [(nothing, known_presence(), 0.0), (known_activation(), everything, 0.5), (nothing, ~everything, None)]
    return [*((known_activation(), known_presence(), threshold) for threshold in (None, 0.5)), *without]


def _units() -> ArgumentTuples:
    return [(known_units(),)]


def _p_values() -> ArgumentTuples:
    return [(SCORES, drawn((5, len(SCORES))) * 0.3)]


KNOWN_ARGUMENTS: Mapping[str, Mapping[str, Callable[[], ArgumentTuples]]] = {
    "result.map_similarity": {"iou": _pairs_of_masks},
    "metrics.localisation": {
        "THRESHOLDS": _table,
        "half_cell": lambda: [(LAYER, SHAPE), ((7, 7), (224, 224))],
        "hottest": _of_maps(lambda: 100),
        "pointing_hit": _pointing,
        "energy_inside": _of_maps(known_object),
        "iou_at_equal_area": _of_maps(known_object),
        "iou_sweep": _of_maps(known_object),
    },
    "metrics.faithfulness": {
        "area_under": lambda: [(row,) for row in known_weights()],
        "faithfulness": _faithfulness,
    },
    # It adds up; misses some; the larger score is that of the baseline, and negative; nothing to add up to.
    "metrics.completeness": {
        "completeness_error": lambda: [(3.0, 4.0, 1.0), (2.5, 4.0, 1.0), (-2.0, 1.0, -5.0), (1.0, 0.0, 0.0)]
    },
    "tasks.image.map_rows": {
        "map_row": _map_rows,
        "displayed": lambda: [(saliency[::8, ::8],) for saliency in _signed()[:-1]],
        "scored_row": _scored_rows,
    },
    "metrics.geometry": {
        "centre_of_mass": lambda: [*_of_maps()(), (known_object(),)],
        "centre_distance": _pairs_of_maps,
        "blobs": lambda: [(mask,) for mask in known_masks()],
    },
    "metrics.overlap": {
        "dice": _pairs_of_masks,
        "chance_iou": lambda: [(100, 150, 1280), (700, 1000, 1280), (0, 0, 1280), (0, 5, 1280)],
        "iou_beyond_chance": _pairs_of_masks,
    },
    "metrics.superpixels": {
        "positive_map": lambda: [(weights, np.arange(16).reshape(4, 4)) for weights in known_weights()],
        "best_superpixels": lambda: [(weights, 5) for weights in known_weights()],
        "mask_of": lambda: [(np.array([2, 7, 8]), known_segments())],
        "mask_of_area": lambda: _seeds_and_shares((0.1, 0.2, 0.5)),
        "superpixel_means": _of_maps(known_segments),
    },
    "metrics.stability": {"stability": lambda: [(known_weights(), known_segments())]},
    "metrics.seeds": {
        "seed_tolerance": lambda: [(0.02, 5, 3, 16), (0.02, 2, 1, 40)],
        "least_overlap": lambda: [(known_weights().mean(axis=0), 0.1, 5, known_segments(), 5)],
    },
    "metrics.bootstrap": {"mean_interval": lambda: [(known_weights()[0].tolist(),), ([0.5],), ([],)]},
    "metrics.comparison": {
        "POLICIES": _table,
        "superpixel_correlation": _explanations,
        "masks": _compared,
        "compare": _compared,
        "area_sweep": lambda: [(*pair, np.array([0.1, 0.3])) for pair in _explanations()],
    },
    "metrics.focus": {
        "concept_shares": lambda: [(mask, {"object": known_object()}) for mask in known_masks()],
        "focus": _focus,
        "insight": _insights,
    },
    "metrics.paired": {"paired_test": _paired},
    "metrics.search": {"OBJECTIVES": _table, "winners": _settings, "mean_ranks": _ranked, "trust": _trusted},
    "metrics.false_discovery": {
        "pooled_p_values": _p_values,
        "discovery_rates": lambda: [(np.array([0.01, 0.04, _NAN, 0.03, 0.5, 0.02]),)],
    },
    "metrics.label_quality": {
        "correlation": lambda: [(known_activation(), known_presence())],
        "auprc": _active,
        "f1": _active,
        "jaccard": _active,
        "best_threshold": _thresholds,
        "judge_label": _judged,
    },
    "metrics.labels": {
        "agreement": lambda: [(LABELS, OTHER_LABELS)],
        "distribution_difference": lambda: [(LABELS[:6], OTHER_LABELS[4:], 3)],
    },
    "metrics.unit_labels": {
        "interpretable": _units,
        "layer_summary": _units,
        "concept_counts": _units,
        "category_counts": _units,
        "top_concepts": lambda: [(known_units(), 3)],
        "unique_concepts": lambda: [(known_units(),), (known_units(), ("sky",))],
    },
}
