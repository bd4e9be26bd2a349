"""What the metrics say of maps that never change: so that a metric whose code changed is named as such.

On the images of a run a broken metric may give what the right one gave, such as a pointing game that says yes to
everything where every map hits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.comparison import POLICIES, CamExplanation, LimeWeights, MaskPolicy, area_sweep, compare
from xai_eval.metrics.faithfulness import faithfulness
from xai_eval.metrics.focus import concept_shares, focus, insight
from xai_eval.metrics.geometry import blobs, centre_distance
from xai_eval.metrics.localisation import half_cell, iou_sweep
from xai_eval.metrics.paired import paired_test
from xai_eval.metrics.search import Objective, mean_ranks, trust, winners
from xai_eval.metrics.seeds import least_overlap, seed_tolerance
from xai_eval.metrics.stability import stability
from xai_eval.metrics.superpixels import best_superpixels, mask_of_area
from xai_eval.result.fields import Heatmap, HeatmapTolerance
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.map_similarity import iou
from xai_eval.result.stage import Stage
from xai_eval.tasks.image.map_rows import map_row
from xai_eval.tasks.reference.answers import answers_stage

if TYPE_CHECKING:
    import torch

# Higher than wide, so that rows and columns cannot be taken for each other.
_SHAPE = (40, 32)
_CELLS = 4  # superpixels a side; those of the explained layer are larger
_LAYER = (3, 2)
_ANYTHING = HeatmapTolerance(largest=1.0)
# Of three images: settings that are equal, that rounding alone tells apart, and that have no value.
_NAN = float("nan")
_TIED = np.array([[0.3, 0.3, 0.1, 0.5, 0.5 + 1e-9], [0.2, _NAN, 0.2, 0.1, _NAN], [0.4, 0.2, 0.2, 0.2, 0.1]])


def localisation_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint what the metrics of localisation say."""
    return answers_stage("localisation", _localisation)


def superpixel_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint what the weights of several seeds come to, and which superpixels are best."""
    return answers_stage("superpixels", _superpixels)


def comparison_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint what the measures of a comparison say."""
    return answers_stage("comparison", _comparison)


def faithfulness_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint the deletion and the insertion curve of a model that is known in closed form."""
    return answers_stage("faithfulness", _faithfulness)


def paired_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint what the paired test says of two methods."""
    return answers_stage("paired test", _paired)


def search_stage() -> dict[Stage, Fingerprint]:
    """Fingerprint how settings are ranked."""
    return answers_stage("search", _search)


@cache
def _object() -> NDArray[np.bool_]:
    mask = np.zeros(_SHAPE, dtype=bool)
    mask[6:16, 4:14] = True
    return mask


@cache
def _maps() -> tuple[NDArray[np.float32], ...]:
    """On the object, beside it, wide, narrow, on two places, rising over the whole image, and flat on two places."""
    rows, columns = np.mgrid[: _SHAPE[0], : _SHAPE[1]]

    def spot(row: float, column: float, width: float) -> NDArray[np.float64]:
        return np.asarray(np.clip(1.0 - np.hypot(rows - row, columns - column) / width, 0.0, 1.0))

    every = (
        spot(10, 9, 7),
        spot(10, 22, 7),
        spot(17, 12, 20),
        spot(15, 15, 1.5),
        np.maximum(spot(10, 9, 6), 0.8 * spot(25, 26, 5)),
        (rows + 2 * columns) / (3.0 * max(_SHAPE) + 1.0),  # no value is a threshold
        np.where(np.maximum(spot(3, 28, 6), spot(10, 9, 7)) > 0.5, 1.0, 0.0),
    )
    return tuple(each.astype(np.float32) for each in every)


@cache
def _segments() -> NDArray[np.int64]:
    rows, columns = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    return np.asarray(rows * _CELLS // _SHAPE[0] * _CELLS + columns * _CELLS // _SHAPE[1], dtype=np.int64)


@cache
def _weights() -> NDArray[np.float64]:
    """Of five seeds, (5, F): positive, negative, nearly equal and 0."""
    generator = np.random.Generator(np.random.PCG64(7))
    base = np.linspace(-0.5, 1.0, _CELLS * _CELLS) * np.tile([1.0, -0.6, 0.3, 0.0], _CELLS)
    return np.asarray(base + 0.05 * generator.random((5, len(base))))


def _localisation() -> Iterator[float]:
    margin = half_cell(_LAYER, _SHAPE)
    yield from margin
    for saliency in _maps():
        row = map_row("known", Heatmap(saliency, _ANYTHING), _object(), margin)
        yield from (value for value in row.values() if not isinstance(value, str))
        yield from iou_sweep(saliency, _object())


def _superpixels() -> Iterator[float]:
    found = stability(_weights(), _segments())
    yield from (*found.mean, *found.spread, *found.overlaps, found.overlap, found.least_overlap)
    yield from best_superpixels(found.mean, 5)
    for share in (0.1, 0.2, 0.5):
        yield iou(mask_of_area(found.mean, _segments(), share), _object())
    seeds, superpixels = _weights().shape
    tolerance = seed_tolerance(0.02, seeds, 3, superpixels)
    yield from (tolerance.errors, tolerance.ratio)
    yield least_overlap(found.mean, 0.1, seeds, _segments(), 5)


def _comparison() -> Iterator[float | str]:
    lime = LimeWeights(0, _weights()[0], _segments())
    concepts = {"object": _object()}
    for saliency in _maps():
        cam = CamExplanation(0, saliency)
        for policy in POLICIES:
            yield from _measures(compare(cam, lime, MaskPolicy(policy)))
        for line in area_sweep(cam, lime, np.array([0.1, 0.3])).values():
            yield from line
        hot = saliency > 0.5
        yield from concept_shares(hot, concepts).values()
        yield from (focus(hot, concepts), focus(hot, {}))
        yield blobs(hot)
    yield blobs(np.eye(*_SHAPE, dtype=bool))  # joined by corners
    yield from astuple(mean_interval(_weights()[0].tolist()))
    yield from _insights()


def _insights() -> Iterator[str]:
    """On both sides of every threshold, and near to it."""
    for overlap in (float("nan"), 0.19, 0.21, 0.49, 0.51):
        yield insight(overlap, 0.9)
    for r2 in (0.49, 0.51):
        for ious in ((0.5, 0.41), (0.5, 0.39), (0.39, 0.5)):
            yield insight(0.3, r2, ious, "in doubt")


def _measures(found: Any) -> tuple[float, ...]:
    return tuple(value for value in astuple(found) if not isinstance(value, np.ndarray))


def _faithfulness() -> Iterator[float]:
    first, second, third = _maps()[:3]
    pixels = (np.stack([first, 1.0 - second, third], axis=-1) * 255).astype(np.uint8)
    for saliency in _maps():
        curves = faithfulness(saliency, pixels, _bright_object, 0, steps=8)
        yield from (*curves.deletion_curve, *curves.insertion_curve, curves.deletion, curves.insertion)
        yield centre_distance(saliency, _maps()[0])


def _bright_object(views: torch.Tensor) -> torch.Tensor:
    """A model in closed form: the mean brightness of the object, and what is left to 1."""
    import torch

    bright = views.double().mean(dim=3)[:, torch.from_numpy(_object())].mean(dim=1) / 255.0
    return torch.stack([bright, 1.0 - bright], dim=1)


def _paired() -> Iterator[float]:
    every = _weights()
    half_equal = np.where(np.arange(every.shape[1]) % 2, every[0], every[1])
    for first, second in ((every[0], every[1]), (every[1], every[4]), (every[2], every[2]), (every[0], half_equal)):
        found = paired_test(first.tolist(), second.tolist())
        yield from (*astuple(found), found.beats)


def _search() -> Iterator[float]:
    values = _weights()
    for objective in (Objective("more", 1), Objective("less", -1)):
        yield from mean_ranks(values, objective)
        yield from (trust(row, values[0], objective) for row in values[1:])
        yield from winners(values[0], objective)
        yield from mean_ranks(_TIED, objective)
        yield from (trust(row, _TIED[0], objective) for row in _TIED)
        yield from (place for row in _TIED for place in winners(row, objective))
    yield from astuple(mean_interval(values[0].tolist()))
