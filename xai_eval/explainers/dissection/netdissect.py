"""Network Dissection: measure how much the places where a unit is strongly active overlap with each concept.

Bau, Zhou, Khosla, Oliva and Torralba, CVPR 2017. The threshold of a unit is the value that 0.5 % of its activations
exceed, over all positions of all images (`TopValues.quantile`). The activation maps of the unit are upsampled to the
size of the label maps. The pixels above the threshold are compared with the pixels of each concept, over the images
that show any concept of the same category.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.counts import ConceptIndex, Counts
from xai_eval.explainers.dissection.shown_concepts import ShownConcepts
from xai_eval.metrics.unit_labels import INTERPRETABLE

# Share of all positions of all images at which a unit exceeds its threshold.
SHARE = 0.005
# Pixels of masks that are handled at once.
_AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class LabelledMaps:
    """Activation maps of one image, and the label maps that they are compared with: its own, or those of other images.

    Attributes:
        units: indices of n units, (n,). Units that nowhere exceed their threshold may be left out.
        maps: their activations, (n, h, w).
        labels: for each comparison, what the label maps show; None if there are none.
    """

    units: NDArray[np.int64]
    maps: NDArray[np.float32]
    labels: Sequence[ShownConcepts | None]


@dataclass(frozen=True, eq=False)
class _Covered:
    """The pixels of n masks, one after the other.

    Attributes:
        masks: index of the mask that each pixel belongs to, ascending, (p,).
        places: place of each pixel in the image, row by row, (p,).
        count: n.
    """

    masks: NDArray[np.int64]
    places: NDArray[np.int64]
    count: int

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of pixels of each mask, (n,)."""
        return np.bincount(self.masks, minlength=self.count)

    def shared(self, shown: ShownConcepts) -> NDArray[np.int64]:
        """Return how many pixels each mask shares with each concept, (n, l)."""
        columns = len(shown.concepts) + 1
        both = np.zeros(self.count * columns, dtype=np.int64)
        first = self.masks * columns
        for one in shown.maps:
            both += np.bincount(first + one[self.places], minlength=len(both))
        return both.reshape(self.count, columns)[:, 1:]


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
    """
    above = _single_precision(thresholds)
    # Interpolation never gives a value above the largest of the map, so units below their threshold are left out.
    strong = image.maps.max(axis=(1, 2)) > above[image.units]
    units, maps = image.units[strong], image.maps[strong]
    pairs = [(total, shown) for total, shown in zip(totals, image.labels, strict=True) if shown is not None]
    for total, shown in pairs:
        total.label[shown.concepts] += shown.pixels
    for size in {shown.size for _, shown in pairs}:
        alike = [(total, shown) for total, shown in pairs if shown.size == size and len(shown.concepts)]
        # The masks of units are the same in all comparisons of a size: they are made once.
        for part in _parts(len(units), size) if alike else ():
            covered = _covered(maps[part], above[units[part]], size)
            for total, shown in alike:
                _add(total, units[part], shown, covered)


def _add(total: Counts, units: NDArray[np.int64], shown: ShownConcepts, covered: _Covered) -> None:
    """Add what n units have in one image to the counts over all images."""
    categories = np.unique(total.vocabulary.category_of[shown.concepts])
    rows = units[:, None]
    total.both[rows, shown.concepts] += covered.shared(shown)
    total.unit[rows, categories] += covered.sizes[:, None]


def _parts(units: int, size: tuple[int, int]) -> Iterator[slice]:
    """Divide units so that their maps, at the size of an image, do not take much memory."""
    step = max(1, _AT_ONCE // max(1, math.prod(size)))
    return (slice(start, start + step) for start in range(0, units, step))


def _covered(maps: NDArray[np.float32], thresholds: NDArray[np.float32], size: tuple[int, int]) -> _Covered:
    """Return the pixels where n units exceed their thresholds.

    Maps are interpolated down the image first, and across it only the rows where the unit can exceed its threshold. A
    strong activation affects few rows.

    Args:
        maps: activation maps, (n, h, w).
        thresholds: thresholds of the n units, (n,).
        size: height and width of the label maps.
    """
    height, width = size
    rows = _interpolation(maps.shape[1], height).T @ maps
    # numpy takes six times as long for the largest of a few neighbouring numbers.
    highest = torch.from_numpy(rows).amax(dim=2).numpy()
    unit, row = _places(highest > thresholds[:, None])
    across = rows[unit, row] @ _interpolation(maps.shape[2], width)
    line, x = _places(across > thresholds[unit, None])
    return _Covered(unit[line], row[line] * width + x, len(maps))


def _places(flags: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the flags (n, m) that are set, row by row. `np.nonzero` takes longer."""
    places, columns = np.flatnonzero(flags), flags.shape[1]
    rows = places // columns
    return rows, places - rows * columns


@lru_cache(maxsize=64)
def _interpolation(old: int, new: int) -> NDArray[np.float32]:
    """Return the weights with which `old` positions along one axis are interpolated to `new` positions, (old, new).

    Bilinear interpolation is linear interpolation along one axis, then along the other.
    """
    return F.interpolate(torch.eye(old, device="cpu")[None], size=new, mode="linear", align_corners=False)[0].numpy()
