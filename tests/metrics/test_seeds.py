"""Measures how often LIME's weights drift by chance and how large a change is found, as stated in docs/noise.md."""

import math

import numpy as np
import pytest

from xai_eval.metrics.seeds import IMAGES_PER_ALARM, least_overlap, seed_tolerance
from xai_eval.result.fields import Weights

CLASSES, SUPERPIXELS, SEEDS = 5, 30, 5
NAMES = tuple(f"class {i}" for i in range(CLASSES))
TRUE = np.random.default_rng(0).normal(0, 0.1, (CLASSES, SUPERPIXELS))
TRUE[:, 0] = 1.0  # the largest weight of every class
DEVIATION = 0.05


def run_of(rng, true=TRUE, deviation=DEVIATION, noise="normal", seeds=SEEDS, floor=0.0):
    draw = {
        "normal": lambda shape: rng.normal(size=shape),
        "uneven": lambda shape: rng.normal(size=shape) * np.linspace(0.75, 1.25, SUPERPIXELS)[:, None],
    }[noise]
    every = true[..., None] + deviation * draw((CLASSES, SUPERPIXELS, seeds))
    tolerance = seed_tolerance(floor, seeds, CLASSES, SUPERPIXELS)
    spread = every.std(axis=2, ddof=1) if seeds > 1 else np.zeros(TRUE.shape)
    return Weights(NAMES, every.mean(axis=2), spread, tolerance)


def rate(images, **changed):
    """Return the share of images on which the second run is found different. `changed` applies to that run only."""
    rng = np.random.default_rng(7)
    common = {name: changed.pop(name) for name in ("noise", "seeds", "floor") if name in changed}
    found = 0
    for _ in range(images):
        golden = run_of(rng, **common)
        found += bool(run_of(rng, **common, **changed).compare(golden, "weights"))
    return found / images


@pytest.mark.parametrize("seeds, images", [(2, 500), (5, 2000), (10, 500)])
def test_chance_alarms_once_in_a_thousand_images(seeds, images):
    assert IMAGES_PER_ALARM == 1000
    # If one in 1,000 images alarms on average, more alarms than these have a probability below 1 in 500.
    assert rate(images, seeds=seeds) * images <= {500: 3, 2000: 7}[images]


def test_unequal_spreads_of_superpixels_raise_few_more_alarms():
    """Spreads that differ by a factor of 1.7 within a class, as the bundled model's do at most."""
    assert rate(1000, noise="uneven") <= 0.015


@pytest.mark.parametrize("standard_deviations, low, high", [(1.0, 0.0, 0.03), (3.0, 0.35, 0.65), (4.0, 0.88, 1.0)])
def test_power_to_find_one_changed_weight(standard_deviations, low, high):
    moved = TRUE.copy()
    moved[2, 9] += standard_deviations * DEVIATION
    assert low <= rate(200, true=moved) <= high


def test_a_spread_that_doubled_is_found():
    assert rate(100, deviation=2 * DEVIATION) > 0.95


def test_a_significant_but_small_change_is_not_a_drift():
    moved = TRUE + 0.008
    assert rate(10, true=moved, seeds=2000, floor=0.02) == 0.0
    assert rate(10, true=moved, seeds=2000, floor=0.0) == 1.0


def test_a_large_change_is_not_a_drift_if_chance_can_cause_it():
    moved = TRUE.copy()
    moved[2, 9] += 0.05  # more than the floor, but one standard deviation of one seed
    assert rate(200, true=moved, floor=0.02) <= 0.02


def test_with_one_seed_only_the_floor_is_used():
    tolerance = seed_tolerance(0.02, 1, 5, 9)
    assert (tolerance.errors, tolerance.ratio) == (0.0, math.inf)
    one = Weights(("a",), np.array([[1.0, 0.5]]), np.zeros((1, 2)), tolerance)
    near, far = (Weights(("a",), np.array([[1.0, 0.5 + by]]), np.zeros((1, 2)), tolerance) for by in (0.019, 0.021))
    assert near.compare(one, "w") == () and len(far.compare(one, "w")) == 1


def test_quantiles_are_student_s_and_fisher_s_as_simulated():
    """The reference does not use scipy: quantiles are simulated, at a level that a simulation can reach."""
    rng = np.random.default_rng(3)
    tolerance = seed_tolerance(0.0, 3, 1, 2)
    first, second = rng.normal(size=(2, 400_000, 2, 3))
    pooled = (first.var(axis=2, ddof=1).mean(axis=1) + second.var(axis=2, ddof=1).mean(axis=1)) / 2
    errors = np.abs(first.mean(axis=2) - second.mean(axis=2)) / np.sqrt(pooled * 2 / 3)[:, None]
    assert (errors > tolerance.errors).any(axis=1).mean() == pytest.approx(0.5 / IMAGES_PER_ALARM, rel=0.3)
    ratio = np.sqrt(first.var(axis=2, ddof=1).mean(axis=1) / second.var(axis=2, ddof=1).mean(axis=1))
    assert (np.maximum(ratio, 1 / ratio) > tolerance.ratio).mean() == pytest.approx(0.5 / IMAGES_PER_ALARM, rel=0.3)


FOUR_BY_THREE = np.repeat(np.arange(12).reshape(3, 4), 10, axis=0).repeat(10, axis=1)


def best_five(weights):
    return set(np.argsort(-weights)[:5]) & set(np.flatnonzero(weights > 0))


def test_masks_of_a_deterministic_explainer_must_be_equal():
    weights = np.linspace(1.0, -0.1, 12)
    assert least_overlap(weights, 0.0, 5, FOUR_BY_THREE, 5) == 1.0
    assert least_overlap(weights, 0.001, 5, FOUR_BY_THREE, 5) == 1.0
    assert least_overlap(np.full(12, -1.0), 0.1, 5, FOUR_BY_THREE, 5) == 1.0


def test_two_nearly_tied_superpixels_may_swap():
    weights = np.array([1.0, 0.9, 0.8, 0.7, 0.2, 0.2, *np.zeros(6) - 0.5])
    weights[4] += 1e-4
    assert least_overlap(weights, 0.01, 5, FOUR_BY_THREE, 5) == pytest.approx(4 / 6)


def test_masks_of_two_runs_seldom_overlap_less():
    rng, true, deviation, seeds, low = np.random.default_rng(5), np.linspace(0.6, 0.0, 12), 0.05, 5, 0
    for _ in range(400):
        first, second = true + rng.normal(0, deviation / math.sqrt(seeds), (2, 12))
        ours, theirs = best_five(first), best_five(second)
        overlap = len(ours & theirs) / len(ours | theirs)  # all superpixels are of one size
        low += overlap < least_overlap(first, deviation, seeds, FOUR_BY_THREE, 5) - 1e-9
    # 0.4 are expected, and a few more, because overlaps come in steps; more than 4 have a probability below 1e-3.
    assert low <= 4
