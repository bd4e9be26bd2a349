"""How far apart two runs of the same stochastic explainer come by chance."""

from __future__ import annotations

import math

from xai_eval.fields import SeedTolerance

# Chance may make two runs of an unchanged explainer differ, in any class or superpixel, once in so many pictures.
PICTURES_AN_ALARM = 1000


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
    share = 0.5 / PICTURES_AN_ALARM
    freedom = superpixels * (seeds - 1)
    errors = float(t.isf(share / (2 * classes * superpixels), 2 * freedom))
    ratio = float(f.isf(share / (2 * classes), freedom, freedom)) ** 0.5
    return SeedTolerance(floor, seeds, round(errors, 4), round(ratio, 4))
