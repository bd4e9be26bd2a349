"""Network Dissection: measure how much the places where a unit is strongly active overlap with each concept.

Bau, Zhou, Khosla, Oliva and Torralba, CVPR 2017. The threshold of a unit is the value that 0.5 % of its activations
exceed, over all positions of all images (`TopValues.quantile`). The activation maps of the unit are upsampled to the
size of the label maps. The pixels above the threshold are compared with the pixels of each concept, over the images
that show any concept of the same category.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.counts import ConceptIndex, Counts
from xai_eval.metrics.unit_labels import INTERPRETABLE

# Share of all positions of all images at which a unit exceeds its threshold.
SHARE = 0.005


@dataclass(frozen=True, eq=False)
class LabelledMaps:
    """Activation maps of one image, and the label maps that they are compared with: its own, or those of other images.

    Attributes:
        units: indices of n units, (n,). Units that nowhere exceed their threshold may be left out.
        maps: their activations, (n, h, w).
        labels: for each comparison, S label maps over the whole image, (S, H, W): 0 for no label, else 1 + index of the
            concept; None if there are none.
    """

    units: NDArray[np.int64]
    maps: NDArray[np.float32]
    labels: Sequence[NDArray[np.int32] | None]


@dataclass(frozen=True, eq=False)
class _Shown:
    """The concepts that label maps show.

    Attributes:
        concepts: their indices, ascending, (l,).
        places: 1 where a concept is and 0 elsewhere, (H, W, l).
    """

    concepts: NDArray[np.int64]
    places: NDArray[np.float32]

    @property
    def size(self) -> tuple[int, ...]:
        return self.places.shape[:2]


@dataclass(frozen=True, eq=False)
class BestConcepts:
    """The concept that overlaps most with each of J units.

    Attributes:
        concept: index of the concept with the largest IoU, (J,); the first if several are equal, -1 if every IoU is 0.
        iou: the IoU with that concept, (J,).
        by_category: index of the best concept within each of the K categories, (J, K).
    """

    concept: NDArray[np.int64]
    iou: NDArray[np.float64]
    by_category: NDArray[np.int64]

    @property
    def interpretable(self) -> NDArray[np.bool_]:
        """Whether each unit reaches the IoU of 0.04 from which Network Dissection calls it interpretable, (J,)."""
        return np.asarray(self.iou >= INTERPRETABLE)


def best_concepts(iou: NDArray[np.float64], vocabulary: ConceptIndex) -> BestConcepts:
    """Return the concept with the largest IoU for each unit, from IoUs (J, L)."""
    members = [np.flatnonzero(vocabulary.category_of == k) for k in range(len(vocabulary.categories))]
    by_category = [_best(iou[:, concepts], concepts) for concepts in members]
    concepts = np.arange(iou.shape[1])
    return BestConcepts(_best(iou, concepts), iou.max(axis=1), np.stack(by_category, axis=1))


def other_images(count: int, seed: int) -> NDArray[np.int64]:
    """Assign to each image another image, whose labels it gets to measure the overlap by chance, (count,).

    The assignment is one random cycle through all images (Sattolo 1986), so no image keeps its own labels.

    Raises:
        UsageError: there are fewer than two images.
    """
    if count < 2:
        raise UsageError(f"labels cannot be shuffled over {count} images; expected at least 2. Add images.")
    circle = np.random.default_rng(seed).permutation(count)
    others = np.empty(count, dtype=np.int64)
    others[circle] = np.roll(circle, 1)
    return others


def _best(iou: NDArray[np.float64], concepts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(iou.max(axis=1) > 0.0, concepts[iou.argmax(axis=1)], -1)


def _single_precision(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest single-precision numbers that do not exceed the thresholds, (J,).

    A single-precision activation exceeds the threshold if and only if it exceeds this number.
    """
    nearest: NDArray[np.float32] = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def add_image(totals: Sequence[Counts], image: LabelledMaps, thresholds: NDArray[np.float64]) -> None:
    """Add one image to counts.

    The counts are changed in place, because tables of all units and concepts are too large to allocate for each image.

    Args:
        totals: the counts to change: one for each comparison of the image, with the same concepts.
        image: the image.
        thresholds: thresholds of all J units, (J,).

    Raises:
        UsageError: a label map holds a number that stands for no concept.
    """
    above = _single_precision(thresholds)
    # Interpolation never gives a value above the largest of the map, so units below their threshold are left out.
    strong = image.maps.max(axis=(1, 2)) > above[image.units]
    units, maps = image.units[strong], image.maps[strong]
    pairs = [(t, _shown(each, t.vocabulary)) for t, each in zip(totals, image.labels, strict=True) if each is not None]
    for size in {shown.size for _, shown in pairs}:
        # The masks of units are the same in all comparisons of a size: they are made once.
        alike = [(total, shown) for total, shown in pairs if shown.size == size and len(shown.concepts)]
        if alike:
            both, covered = _count_masks(maps, above[units], [shown.places for _, shown in alike])
            for (total, shown), shared in zip(alike, both, strict=True):
                _add(total, units, shown, shared, covered)


def _add(
    total: Counts, units: NDArray[np.int64], shown: _Shown, both: NDArray[np.int64], covered: NDArray[np.int64]
) -> None:
    """Add what was counted in one image, (n, l) and (n,), to the counts over all images."""
    categories = np.unique(total.vocabulary.category_of[shown.concepts])
    # Sums of 0 and 1 over one row are exact in single precision.
    by_row = np.ones(shown.size[1], dtype=np.float32) @ shown.places
    total.label[shown.concepts] += by_row.sum(axis=0, dtype=np.int64)
    total.both[np.ix_(units, shown.concepts)] += both
    total.unit[np.ix_(units, categories)] += covered[:, None]


def _present(labels: NDArray[np.int32], known: int) -> NDArray[np.int64]:
    """Return the indices of the concepts that occur in label maps, ascending, (l,)."""
    least, most = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if least < 0 or most > known:
        wrong = least if least < 0 else most
        raise UsageError(
            f"a label map holds {wrong}; expected 0 (no label) to {known} (1 + index of the concept). Check the labels."
        )
    return np.flatnonzero(np.bincount(labels.reshape(-1), minlength=1)[1:])


def _shown(labels: NDArray[np.int32], vocabulary: ConceptIndex) -> _Shown:
    """Return which concepts are in any of the label maps (S, H, W), and where."""
    present = _present(labels, len(vocabulary.category_of))
    column = np.zeros(len(vocabulary.category_of) + 1, dtype=np.int64)
    column[present + 1] = np.arange(len(present))
    places = np.zeros((*labels.shape[1:], len(present)), dtype=np.float32)
    for one in labels.reshape(len(labels), math.prod(labels.shape[1:])):
        labelled = np.flatnonzero(one)
        places.reshape(-1)[labelled * len(present) + column[one[labelled]]] = 1.0
    return _Shown(present, places)


def _count_masks(
    maps: NDArray[np.float32], thresholds: NDArray[np.float32], comparisons: Sequence[NDArray[np.float32]]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Count the pixels that each mask of a unit shares with each concept, (n, l), and all its pixels, (n,).

    The image is handled row by row, each row only for the units that can exceed their threshold in it. This is fast,
    because a strong activation affects few rows.

    Args:
        maps: activation maps, (n, h, w).
        thresholds: thresholds of the n units, (n,).
        comparisons: for each comparison, 1 where a concept is, (H, W, l).
    """
    shown = np.concatenate(comparisons, axis=2)
    rows = _interpolation(maps.shape[1], shown.shape[0]).T @ maps
    reaching = rows.max(axis=2) > thresholds[:, None]
    across = _interpolation(maps.shape[2], shown.shape[1])
    both = np.zeros((len(maps), shown.shape[2]), dtype=np.int64)
    covered = np.zeros(len(maps), dtype=np.int64)
    for y in np.flatnonzero(reaching.any(axis=0)):
        some = np.flatnonzero(reaching[:, y])
        masks = (rows[some, y] @ across > thresholds[some, None]).astype(np.float32)
        # Sums of 0 and 1 over one row are exact in single precision.
        both[some] += (masks @ shown[y]).astype(np.int64)
        covered[some] += masks.sum(axis=1).astype(np.int64)
    ends = np.cumsum([each.shape[2] for each in comparisons])
    return np.split(both, ends[:-1], axis=1), covered


@lru_cache(maxsize=64)
def _interpolation(old: int, new: int) -> NDArray[np.float32]:
    """Return the weights with which `old` positions along one axis are interpolated to `new` positions, (old, new).

    Bilinear interpolation is linear interpolation along one axis, then along the other.
    """
    return F.interpolate(torch.eye(old)[None], size=new, mode="linear", align_corners=False)[0].numpy()
