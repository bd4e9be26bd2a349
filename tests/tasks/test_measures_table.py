"""One table for all measures of maps: which changes of a map each measure must notice, and which it must ignore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import blob

from xai_eval.metrics.comparison import CamExplanation, LimeWeights, superpixel_correlation
from xai_eval.metrics.geometry import centre_distance
from xai_eval.metrics.localisation import energy_inside, hottest, iou_at_equal_area, iou_sweep, pointing_hit
from xai_eval.metrics.overlap import dice, iou_beyond_chance
from xai_eval.result.map_similarity import iou, mass_moved, rank_correlation, top_area

Map = NDArray[np.floating]
SIZE = 64
BASE = blob(20, 24, size=SIZE, width=14) * 0.8 + 0.2 * blob(32, 32, size=SIZE, width=60)
MASK = blob(20, 24, size=SIZE, width=12) > 0
SEGMENTS = (np.arange(SIZE)[:, None] // 8 * 8 + np.arange(SIZE)[None, :] // 8).astype(np.int64)
NOISE = np.random.default_rng(0).normal(scale=0.01, size=BASE.shape)


def blurred(saliency: Map) -> Map:
    from scipy.ndimage import gaussian_filter

    wide = gaussian_filter(saliency.astype(float), 12)
    return wide / wide.max()


CHANGES: dict[str, Map] = {
    "itself": BASE,
    "noise of 1 %": np.clip(BASE + NOISE, 0, 1),
    "rescaled": BASE * 0.6,
    "moved": np.roll(BASE, (24, 20), axis=(0, 1)),
    "mirrored": BASE[:, ::-1],
    "blurred": blurred(BASE),
    "constant": np.full_like(BASE, 0.5),
    "sign flipped": 1.0 - BASE,
}


@dataclass(frozen=True)
class Measure:
    """A measure of a changed map against the base, or against the object on it.

    Attributes:
        of: from the changed map to a number.
        least: a change of the number below it is no news.
        blind: what it cannot see by what it measures, and is seen by another measure.
    """

    of: Callable[[Map], float]
    least: float
    blind: frozenset[str] = frozenset()


def top(saliency: Map) -> NDArray[np.bool_]:
    return top_area(saliency, 0.1)


def pooled_weights() -> NDArray[np.float64]:
    return np.bincount(SEGMENTS.ravel(), weights=BASE.ravel()) / np.bincount(SEGMENTS.ravel())


def correlation_on_superpixels(saliency: Map) -> float:
    found = superpixel_correlation(CamExplanation(0, saliency), LimeWeights(0, pooled_weights(), SEGMENTS))
    return 0.0 if np.isnan(found) else found


# A blurred or rescaled spot keeps its order, its hottest pixels and its centre, so that measures of these ignore such
# changes. A flat or flipped map may keep its centre.
SAME_ORDER = frozenset({"blurred"})
MEASURES = {
    "rank correlation": Measure(lambda m: rank_correlation(m, BASE), 0.1),
    "overlap of the hottest 10 %": Measure(lambda m: iou(top(m), top(BASE)), 0.15, SAME_ORDER),
    "mass moved": Measure(lambda m: mass_moved(m, BASE), 0.02),
    "largest difference": Measure(lambda m: float(np.abs(m - BASE).max()), 0.06),
    "IoU of the hottest": Measure(lambda m: iou(hottest(m, 400), hottest(BASE, 400)), 0.15, SAME_ORDER),
    "Dice of the hottest": Measure(lambda m: dice(hottest(m, 400), hottest(BASE, 400)), 0.15, SAME_ORDER),
    "IoU beyond chance": Measure(lambda m: iou_beyond_chance(hottest(m, 400), hottest(BASE, 400)), 0.15, SAME_ORDER),
    "correlation on superpixels": Measure(correlation_on_superpixels, 0.1),
    "distance of the centres": Measure(lambda m: centre_distance(m, BASE), 0.02, SAME_ORDER),
    "energy inside": Measure(lambda m: energy_inside(m, MASK), 0.03),
    "pointing game": Measure(lambda m: float(pointing_hit(m, MASK)), 0.5, SAME_ORDER),
    "IoU with the object": Measure(lambda m: iou_at_equal_area(m, MASK), 0.15, SAME_ORDER),
    "IoU over thresholds": Measure(lambda m: float(np.mean(iou_sweep(m, MASK))), 0.03),
}
HARMLESS = ("itself", "noise of 1 %")
HARMFUL = ("moved", "mirrored", "blurred", "constant", "sign flipped")
# Only these measures use the values of a map. The others use order and position, which do not change with the scale.
BY_VALUE = {"rank correlation", "overlap of the hottest 10 %", "largest difference", "IoU over thresholds"}


def change_of(name: str, change: str) -> float:
    measure = MEASURES[name]
    return abs(measure.of(CHANGES[change]) - measure.of(BASE))


@pytest.mark.parametrize("change", HARMFUL)
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_notices_the_changes_that_it_must_notice(name, change):
    seen = change_of(name, change) > MEASURES[name].least
    assert seen == (change not in MEASURES[name].blind), change_of(name, change)


@pytest.mark.parametrize("change", HARMLESS)
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_ignores_the_changes_that_it_must_ignore(name, change):
    assert change_of(name, change) <= MEASURES[name].least


@pytest.mark.parametrize("name", sorted(set(MEASURES) - BY_VALUE))
def test_measures_of_order_and_place_ignore_the_scale_of_a_map(name):
    assert change_of(name, "rescaled") == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("change", [*HARMFUL, "rescaled"])
def test_every_change_is_noticed_by_at_least_one_measure(change):
    assert any(change_of(name, change) > MEASURES[name].least for name in MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_no_measure_gives_one_value_for_all_changes(name):
    values = {round(MEASURES[name].of(saliency), 3) for saliency in CHANGES.values()}
    assert len(values) > 1


@pytest.mark.parametrize("level", [0.02, 0.025, 0.04, 0.05, 0.1])
def test_noise_does_not_reorder_a_plateau_wherever_it_lies(level):
    plateau = np.clip(blob(20, 24, size=SIZE, width=14), level, 1.0)
    assert rank_correlation(np.clip(plateau + NOISE, 0, 1), plateau) > 0.9
