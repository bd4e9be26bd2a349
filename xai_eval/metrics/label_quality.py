"""Measures how good the label of a unit is: whether the unit is active on the images that show its concept.

Oikarinen, Yan and Weng 2025 (Neuron_Eval) found that these measures notice both missing and extra labels.
`tests/label_sanity.py` repeats their tests. All functions take activations, (n,), and the presence of the concept,
bool (n,), of the same n images or pixels. Higher is better for all measures.
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
    """How well a unit detects a concept.

    All values are NaN if the concept is in no image or in all of them, or if the activation never changes. Higher is
    better for all measures.

    Attributes:
        correlation: Pearson's correlation of activation and presence, in [-1, 1].
        auprc: average precision with which the presence of the concept finds the images on which the unit is active, in
            [0, 1]. The expected value by chance is the share of these images.
        f1: harmonic mean of precision and recall, in [0, 1].
        iou: Jaccard index of the active images and the images with the concept, in [0, 1].
        threshold: the unit counted as active at and above this activation.
    """

    correlation: float
    auprc: float
    f1: float
    iou: float
    threshold: float


def judge_label(activation: Activation, presence: Presence, threshold: float | None = None) -> LabelQuality:
    """Compute all four measures of a label.

    Args:
        activation: activation of the unit, (n,).
        presence: presence of the concept that the label names, bool (n,).
        threshold: the unit counts as active at and above it. None takes the one with the largest F1 and IoU, which
            makes the measures look too good on small sets.
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
    """Return Pearson's correlation of activation and presence, in [-1, 1]; higher is better."""
    return float(np.corrcoef(activation.astype(np.float64), presence)[0, 1])


def auprc(active: NDArray[np.bool_], presence: Presence) -> float:
    """Return the average precision with which the concept finds the active images, in [0, 1]; higher is better.

    It is NaN if no image is active. The concept ranks the images in two groups only, so the sum of the average
    precision (Zhu 2004) has two terms: the images with the concept, then all images. scikit-learn gives the same number
    in every bit, but takes hundreds of times as long to check its input, for each of thousands of units.

    The reverse, to rank the images by activation and look for the concept, would not notice extra labels: it does not
    fall if a concept that a quarter of the images show is said to be in more images.
    """
    both, wanted, ranked = (int(np.count_nonzero(each)) for each in (active & presence, active, presence))
    if not wanted:
        return float("nan")
    recall = both / wanted
    return recall * (both / ranked if ranked else 0.0) + (1.0 - recall) * (wanted / len(active))


def f1(active: NDArray[np.bool_], presence: Presence) -> float:
    """Return the harmonic mean of precision and recall of an active unit, in [0, 1]; higher is better."""
    return 2.0 * int((active & presence).sum()) / (int(active.sum()) + int(presence.sum()))


def jaccard(active: NDArray[np.bool_], presence: Presence) -> float:
    """Return the Jaccard index: images with both activity and concept over images with either, in [0, 1].

    Higher is better.
    """
    return int((active & presence).sum()) / int((active | presence).sum())


def best_threshold(activation: Activation, presence: Presence) -> float:
    """Return the threshold of the activation at which F1 is largest, and so IoU as well; the highest one if tied."""
    order = np.argsort(-activation, kind="stable")
    descending = activation[order]
    found = np.cumsum(presence[order])
    scores = 2.0 * found / (np.arange(1, len(order) + 1) + found[-1])
    # Images with equal activations become active together, so only the score after the last of them is possible.
    last = np.append(descending[1:] != descending[:-1], True)
    return float(descending[np.argmax(np.where(last, scores, -1.0))])
