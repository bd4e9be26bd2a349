"""Is a label right? A unit's activation over images against the presence of its concept in them.

The measures that Oikarinen, Yan and Weng 2025 (Neuron_Eval) found to notice both missing and extra labels;
`tests/label_sanity.py` repeats their tests. All take activations (n,) and presence (n,) of the same images, or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Activation = NDArray[np.floating[Any]]
Presence = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelQuality:
    """How well a unit shows a concept; NaN where the concept is in no image or in all, or the unit never changes.

    Attributes:
        correlation: Pearson's, in [-1, 1].
        auprc: average precision of finding the images on which the unit is active by the concept, in [0, 1]; by chance
            their share.
        f1: in [0, 1].
        iou: in [0, 1].
        threshold: at and above which the unit was taken to say that the concept is there.
    """

    correlation: float
    auprc: float
    f1: float
    iou: float
    threshold: float


def judge_label(activation: Activation, presence: Presence, threshold: float | None = None) -> LabelQuality:
    """Judge a label by all four measures.

    Args:
        activation: of the unit.
        presence: of the concept that the label names.
        threshold: where the unit counts as active; None takes the one at which F1 and IoU are largest, which flatters
            small sets.
    """
    if np.ptp(activation) == 0 or presence.all() or not presence.any():
        return LabelQuality(*[float("nan")] * 5)
    chosen = best_threshold(activation, presence) if threshold is None else threshold
    active = activation >= chosen
    return LabelQuality(
        correlation=correlation(activation, presence),
        auprc=auprc(active, presence),
        f1=f1(active, presence),
        iou=jaccard(active, presence),
        threshold=chosen,
    )


def correlation(activation: Activation, presence: Presence) -> float:
    """Pearson's correlation of activation and presence, in [-1, 1]."""
    return float(np.corrcoef(activation.astype(np.float64), presence)[0, 1])


def auprc(active: NDArray[np.bool_], presence: Presence) -> float:
    """Average precision of finding active images by the presence of the concept, in [0, 1]; NaN where none is active.

    By scikit-learn. The other way round, ranking images by activation to find the concept, does not fall when a concept
    that a quarter of the images show is widened.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(active, presence)) if active.any() else float("nan")


def f1(active: NDArray[np.bool_], presence: Presence) -> float:
    """Harmonic mean of precision and recall of an active unit, in [0, 1]."""
    return 2.0 * int((active & presence).sum()) / (int(active.sum()) + int(presence.sum()))


def jaccard(active: NDArray[np.bool_], presence: Presence) -> float:
    """Jaccard index: images in which the unit is active and the concept present, over those with either, in [0, 1]."""
    return int((active & presence).sum()) / int((active | presence).sum())


def best_threshold(activation: Activation, presence: Presence) -> float:
    """Return the activation from which on a unit must count as active for the largest F1, and so for the largest IoU.

    The highest of several.
    """
    order = np.argsort(-activation, kind="stable")
    descending = activation[order]
    found = np.cumsum(presence[order])
    scores = 2.0 * found / (np.arange(1, len(order) + 1) + found[-1])
    # Equal activations are active together: only the last of them counts.
    last = np.append(descending[1:] != descending[:-1], True)
    return float(descending[np.argmax(np.where(last, scores, -1.0))])
