"""Computes by how much two runs of the same stochastic explainer may differ by chance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.superpixels import ROUNDING
from xai_eval.result.fields import SeedTolerance

# Two runs of an unchanged explainer are found different by chance on one of this many images.
IMAGES_PER_ALARM = 1000


_DRAWN_RUNS = 5000


def seed_tolerance(floor: float, seeds: int, classes: int, superpixels: int) -> SeedTolerance:
    """Return by how much the weights of two runs with different seeds may differ.

    Mean weights are tested by Student's two-sided t, with the spread pooled over the superpixels of a class. Spreads
    are tested by Fisher's two-sided F. Each kind of test gets half of the allowed false alarms, divided evenly over its
    tests (Bonferroni). With one seed no spread is known, and only the floor is used.

    Args:
        floor: the smallest change that matters, as a share of the largest weight.
        seeds: number of seeds of each run.
        classes: number of classes that have weights.
        superpixels: number of weights per class.
    """
    from scipy.stats import f, t

    if seeds == 1:
        return SeedTolerance(floor, seeds, errors=0.0, ratio=math.inf)
    share = 0.5 / IMAGES_PER_ALARM
    freedom = superpixels * (seeds - 1)
    errors = float(t.isf(share / (2 * classes * superpixels), 2 * freedom))
    ratio = float(f.isf(share / (2 * classes), freedom, freedom)) ** 0.5
    return SeedTolerance(floor, seeds, round(errors, 4), round(ratio, 4))


def least_overlap(
    mean: NDArray[np.float64], deviation: float, seeds: int, segments: NDArray[np.int64], count: int
) -> float:
    """Return the smallest IoU, in [0, 1], that the best superpixels of two unchanged runs have by chance.

    Only one of `IMAGES_PER_ALARM` runs with other seeds falls below it. It is a parametric bootstrap with a fixed seed:
    the mean weights of another run are drawn around those of this run, with the variance of both.

    Args:
        mean: mean weights over the seeds, (F,).
        deviation: standard deviation of a weight over the seeds.
        seeds: number of seeds of each run.
        segments: number of the superpixel of each pixel, (h, w).
        count: number of best superpixels. Only superpixels with a positive weight count.
    """
    scatter = np.random.default_rng(0).normal(0, deviation * math.sqrt(2 / seeds), (_DRAWN_RUNS, len(mean)))
    first, second = _best(mean[None], count), _best(mean + scatter, count)
    areas = np.bincount(segments.reshape(-1), minlength=len(mean))
    union = (first | second) @ areas
    overlaps = np.where(union > 0, (first & second) @ areas / np.maximum(union, 1), 1.0)
    return float(np.quantile(overlaps, 1 / IMAGES_PER_ALARM, method="lower"))


def _best(weights: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Mark the best superpixels of each row of weights, (N, F)."""
    least = np.sort(weights, axis=1)[:, -min(count, weights.shape[1])]
    return np.asarray((weights >= least[:, None]) & (weights > ROUNDING))
