"""Network Dissection: where a unit is strongly active, is there one concept?

Bau, Zhou, Khosla, Oliva and Torralba 2017. A unit's threshold is what 0.5 % of its activations over all positions of
all images exceed (`TopValues.quantile`). Its maps are upsampled to the labels, and the pixels above the threshold are
held against the labels of each concept, over the images that show the concept's category anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.counts import ConceptIndex, Counts
from xai_eval.metrics.unit_labels import INTERPRETABLE

# Share of all positions that are above a unit's threshold.
SHARE = 0.005


@dataclass(frozen=True, eq=False)
class LabelledMaps:
    """One image: what units saw in it, and what it shows.

    Attributes:
        units: which units, (n,); those that are left out are nowhere above their threshold.
        maps: their activations, (n, h, w).
        labels: several maps of labels over the whole image, (S, H, W): 0 for none, else 1 + index of the concept.
    """

    units: NDArray[np.int64]
    maps: NDArray[np.float32]
    labels: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class BestConcepts:
    """The concept that each unit shows best.

    Attributes:
        concept: index of the concept with the largest IoU, the first of equal ones, (J,); -1 where every IoU is 0.
        iou: with that concept, (J,).
        by_category: the same within each category, (J, K).
    """

    concept: NDArray[np.int64]
    iou: NDArray[np.float64]
    by_category: NDArray[np.int64]

    @property
    def interpretable(self) -> NDArray[np.bool_]:
        """Which units reach an IoU of 0.04, (J,)."""
        return np.asarray(self.iou >= INTERPRETABLE)


def best_concepts(iou: NDArray[np.float64], vocabulary: ConceptIndex) -> BestConcepts:
    """Choose each unit's concept by IoU (J, L)."""
    members = [np.flatnonzero(vocabulary.category_of == k) for k in range(len(vocabulary.categories))]
    by_category = [_best(iou[:, concepts], concepts) for concepts in members]
    concepts = np.arange(iou.shape[1])
    return BestConcepts(_best(iou, concepts), iou.max(axis=1), np.stack(by_category, axis=1))


def other_images(count: int, seed: int) -> NDArray[np.int64]:
    """Give each of `count` images another one, whose labels it is held against to see what chance gives, (count,).

    All images lie on one random circle (Sattolo 1986), so that none keeps its own labels.

    Raises:
        UsageError: there is one image only.
    """
    if count < 2:
        raise UsageError(f"labels cannot be shuffled over {count} images; a baseline needs two at least.")
    circle = np.random.default_rng(seed).permutation(count)
    others = np.empty(count, dtype=np.int64)
    others[circle] = np.roll(circle, 1)
    return others


def _best(iou: NDArray[np.float64], concepts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(iou.max(axis=1) > 0.0, concepts[iou.argmax(axis=1)], -1)


def _single_precision(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest floats that are not above the thresholds: a float is above one if it is above the other."""
    nearest: NDArray[np.float32] = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def add_image(total: Counts, image: LabelledMaps, thresholds: NDArray[np.float64]) -> None:
    """Add one image to counts, in place: tables of all units and concepts are too large to be made for each.

    Args:
        total: is changed.
        image: the image.
        thresholds: of all J units, (J,).

    Raises:
        UsageError: a label is not in the vocabulary.
    """
    above = _single_precision(thresholds)
    present = _present(image.labels, len(total.vocabulary.category_of))
    if not len(present):
        return
    shown = _shown(image.labels, present)
    total.label[present] += shown.sum(axis=(0, 1), dtype=np.int64)
    # Between positions a map is never larger than on them.
    strong = image.maps.max(axis=(1, 2)) > above[image.units]
    units = image.units[strong]
    both, covered = _count_masks(image.maps[strong], above[units], shown)
    categories = np.unique(total.vocabulary.category_of[present])
    total.both[np.ix_(units, present)] += both
    total.unit[np.ix_(units, categories)] += covered[:, None]


def _present(labels: NDArray[np.int32], known: int) -> NDArray[np.int64]:
    """Indices of the concepts in some label maps, ascending, (l,)."""
    least, most = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if least < 0 or most > known:
        wrong = least if least < 0 else most
        raise UsageError(f"a label map holds {wrong}; expected 0 (none) to {known}, 1 + index of the concept.")
    return np.flatnonzero(np.bincount(labels.reshape(-1), minlength=1)[1:])


def _shown(labels: NDArray[np.int32], present: NDArray[np.int64]) -> NDArray[np.float32]:
    """Where each concept is in any of the label maps (S, H, W), as 0 and 1, (H, W, l)."""
    column = np.zeros(present[-1] + 2, dtype=np.int64)
    column[present + 1] = np.arange(len(present))
    shown = np.zeros((*labels.shape[1:], len(present)), dtype=np.float32)
    for one in labels:
        places = np.nonzero(one)
        shown[(*places, column[one[places]])] = 1.0
    return shown


def _count_masks(
    maps: NDArray[np.float32], thresholds: NDArray[np.float32], shown: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count pixels of masks that each concept shares, (n, l), and all of them, (n,).

    Row after row of the image, for the units that can be above their threshold there: a strong position seldom
    reaches far.

    Args:
        maps: (n, h, w).
        thresholds: (n,).
        shown: (H, W, l).
    """
    rows = _interpolation(maps.shape[1], shown.shape[0]).T @ maps
    reaching = rows.max(axis=2) > thresholds[:, None]
    across = _interpolation(maps.shape[2], shown.shape[1])
    both = np.zeros((len(maps), shown.shape[2]), dtype=np.int64)
    covered = np.zeros(len(maps), dtype=np.int64)
    for y in np.flatnonzero(reaching.any(axis=0)):
        some = np.flatnonzero(reaching[:, y])
        masks = (rows[some, y] @ across > thresholds[some, None]).astype(np.float32)
        # Single precision counts the pixels of one row exactly.
        both[some] += (masks @ shown[y]).astype(np.int64)
        covered[some] += masks.sum(axis=1).astype(np.int64)
    return both, covered


@lru_cache(maxsize=64)
def _interpolation(old: int, new: int) -> NDArray[np.float32]:
    """What each of `old` positions gives to each of `new` ones along one axis, (old, new).

    Bilinear interpolation is linear along one axis, then along the other.
    """
    return F.interpolate(torch.eye(old)[None], size=new, mode="linear", align_corners=False)[0].numpy()
