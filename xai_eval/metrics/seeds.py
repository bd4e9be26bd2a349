"""How far apart two runs of the same stochastic explainer come by chance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.superpixels import ROUNDING
from xai_eval.result.fields import SeedTolerance

# Chance may make two runs of an unchanged explainer differ, in any class or superpixel, once in so many images.
IMAGES_AN_ALARM = 1000


_DRAWN_RUNS = 5000


def seed_tolerance(floor: float, seeds: int, classes: int, superpixels: int) -> SeedTolerance:
    """Return what the weights of two runs may differ by, where each has its own seeds.

    Means are held to Student's two-sided t, with the spread pooled over the superpixels of a class, and spreads to
    Fisher's two-sided F; half of the alarms for each, shared out evenly (Bonferroni) over whatever is compared. With
    one seed there is no spread to hold anything to: only the floor is left.

    Args:
        floor: least change that matters, as a share of the largest weight.
        seeds: number of seeds of each run.
        classes: how many classes have weights.
        superpixels: how many weights a class has.
    """
    from scipy.stats import f, t

    if seeds == 1:
        return SeedTolerance(floor, seeds, errors=0.0, ratio=math.inf)
    share = 0.5 / IMAGES_AN_ALARM
    freedom = superpixels * (seeds - 1)
    errors = float(t.isf(share / (2 * classes * superpixels), 2 * freedom))
    ratio = float(f.isf(share / (2 * classes), freedom, freedom)) ** 0.5
    return SeedTolerance(floor, seeds, round(errors, 4), round(ratio, 4))


def least_overlap(
    mean: NDArray[np.float64], deviation: float, seeds: int, segments: NDArray[np.int64], count: int
) -> float:
    """Return the IoU with the best superpixels of this run that those of another fall below by chance as seldom.

    A parametric bootstrap: given the means of this run, those of another with its own seeds scatter around them with
    the variance of both. The generator has a fixed seed.

    Args:
        mean: mean weights over the seeds, (F,).
        deviation: standard deviation of one seed's weights.
        seeds: number of seeds of each run.
        segments: the superpixels, (h, w).
        count: how many are best; none whose weight is not above 0.
    """
    scatter = np.random.default_rng(0).normal(0, deviation * math.sqrt(2 / seeds), (_DRAWN_RUNS, len(mean)))
    first, second = _best(mean[None], count), _best(mean + scatter, count)
    areas = np.bincount(segments.reshape(-1), minlength=len(mean))
    union = (first | second) @ areas
    overlaps = np.where(union > 0, (first & second) @ areas / np.maximum(union, 1), 1.0)
    return float(np.quantile(overlaps, 1 / IMAGES_AN_ALARM, method="lower"))


def _best(weights: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Mark the best superpixels of every row of weights, (N, F)."""
    least = np.sort(weights, axis=1)[:, -min(count, weights.shape[1])]
    return np.asarray((weights >= least[:, None]) & (weights > ROUNDING))
