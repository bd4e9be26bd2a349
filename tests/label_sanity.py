"""Which measures of a label notice that it is too narrow or too wide: two tests of Neuron_Eval.

Oikarinen, Yan and Weng 2025. A unit is judged against its true concept; then half of the concept's images are no longer
labelled (the label is too narrow), or as many others are labelled too (too wide). The score must fall, whatever share
of images shows the concept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.label_quality import Activation, Presence, auprc, correlation, f1, jaccard

# A fall counts from this share of the measure's range on, and a test is passed if it comes in so many of the trials.
LEAST_FALL = 0.001
PASSED = 0.9

# Of images that show a concept. Not one half: twice as many would be all images.
_SHARES = (0.25, 0.05, 0.001)
_IMAGES = 10_000
_TRIALS = 10
# How often labels are taken and added: the score is the mean.
_DRAWS = 3
# Share of the concept's images on which a planted unit is active, and of those on which it is active that show it.
_RIGHT = 0.75


@dataclass(frozen=True, eq=False)
class Unit:
    """A unit with its true concept over n images: activation, where it counts as active, and presence, (n,) each."""

    activation: Activation
    active: NDArray[np.bool_]
    presence: Presence


@dataclass(frozen=True)
class SanityCheck:
    """Share of units for which a measure fell with missing and with extra labels, in [0, 1]."""

    measure: str
    missing: float
    extra: float

    @property
    def passes(self) -> bool:
        """Whether the measure notices both."""
        return min(self.missing, self.extra) >= PASSED


Measure = Callable[[Unit, Presence], float]


def _auc(unit: Unit, presence: Presence) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(unit.active, presence))


def _mean_difference(unit: Unit, presence: Presence) -> float:
    return float(unit.activation[presence].mean() - unit.activation[~presence].mean())


def _wpmi(unit: Unit, presence: Presence) -> float:
    """Mean log probability of the concept where the unit is active, less the log of its mean everywhere."""
    return float(np.log(np.clip(presence[unit.active], 1e-8, None)).mean() - np.log(presence.mean()))


# With the range of each; None where it has no bounds: then it is the range of the scores.
MEASURES: Mapping[str, tuple[Measure, float | None]] = {
    "correlation": (lambda unit, presence: correlation(unit.activation, presence), 2.0),
    "auprc": (lambda unit, presence: auprc(unit.active, presence), 1.0),
    "f1": (lambda unit, presence: f1(unit.active, presence), 1.0),
    "iou": (lambda unit, presence: jaccard(unit.active, presence), 1.0),
    "auc": (_auc, 1.0),
    "mad": (_mean_difference, None),
    "wpmi": (_wpmi, None),
}


def sanity_checks(seed: int = 0) -> tuple[SanityCheck, ...]:
    """Test all measures on planted units, whose concepts are in 25 %, 5 % and 0.1 % of 10,000 images.

    Of each measure the worst of the three counts. A planted unit is active on three quarters of its concept's images,
    and on as many others as it misses: real units are not exact either.
    """
    generator = np.random.default_rng(seed)
    groups = [[planted_unit(share, generator) for _ in range(_TRIALS)] for share in _SHARES]
    return tuple(_check(name, groups, seed) for name in MEASURES)


def sanity_check(name: str, units: Sequence[Unit], seed: int = 0) -> SanityCheck:
    """Test one measure on units with their true concepts.

    Raises:
        ValueError: a concept is in more than half of the images, so that no labels can be added, or in fewer than two.
    """
    measure, bounds = MEASURES[name]
    generator = np.random.default_rng(seed)
    true = np.array([measure(unit, unit.presence) for unit in units])
    changed = np.array(
        [
            [[measure(unit, change(unit.presence, generator)) for change in (_missing, _extra)] for _ in range(_DRAWS)]
            for unit in units
        ]
    )
    least = LEAST_FALL * (np.ptp([*true, *changed.flat]) if bounds is None else bounds)
    fell = true[:, None] - changed.mean(axis=1) > least
    return SanityCheck(name, *fell.mean(axis=0).tolist())


def planted_unit(share: float, generator: np.random.Generator) -> Unit:
    """Make a unit of a concept that is in a share of the images; where it is active it is above 0.5, else below."""
    size = round(share * _IMAGES)
    missed = round((1 - _RIGHT) * size)
    place = np.arange(_IMAGES)
    presence, active = place < size, (place >= missed) & (place < size + missed)
    return Unit((active + generator.random(_IMAGES)) / 2, active, presence)


def _check(name: str, groups: Iterable[Sequence[Unit]], seed: int) -> SanityCheck:
    checks = [sanity_check(name, units, seed) for units in groups]
    return SanityCheck(name, min(c.missing for c in checks), min(c.extra for c in checks))


def _missing(presence: Presence, generator: np.random.Generator) -> Presence:
    """Take the labels of half of the images that have one."""
    return _flipped(presence, np.flatnonzero(presence), int(presence.sum()) // 2, generator)


def _extra(presence: Presence, generator: np.random.Generator) -> Presence:
    """Label as many images more as have a label."""
    return _flipped(presence, np.flatnonzero(~presence), int(presence.sum()), generator)


def _flipped(
    presence: Presence, among: NDArray[np.integer[Any]], count: int, generator: np.random.Generator
) -> Presence:
    if not 0 < count <= len(among):
        raise ValueError(
            f"{int(presence.sum())} of {len(presence)} images show the concept; expected at least two, and at most "
            "half of all, so that labels can be taken and added."
        )
    changed = presence.copy()
    changed[generator.choice(among, count, replace=False)] ^= True
    return changed
