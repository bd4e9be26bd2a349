"""Count the pixels that units and concepts share. Whole numbers give the same sum in any order of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ConceptIndex:
    """The L concepts of pixel labels and their K categories.

    Attributes:
        category_of: for each concept, the index of its category in `categories`, (L,).
        categories: K names, such as "object" and "scene".
    """

    category_of: NDArray[np.int64]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, category_names: Sequence[str]) -> Self:
        """Build from the name of each concept's category; categories keep the order of their first occurrence."""
        categories = tuple(dict.fromkeys(category_names))
        return cls(np.array([categories.index(name) for name in category_names], dtype=np.int64), categories)


@dataclass(frozen=True, eq=False)
class Counts:
    """Numbers of pixels for J units, L concepts and K categories, summed over some images.

    A pixel belongs to a unit if the upsampled activation exceeds the threshold of the unit there.

    Attributes:
        both: pixels that belong to both a unit and a concept, (J, L).
        unit: pixels of a unit, counted only in images with at least one label of the category, (J, K).
        label: pixels of a concept, (L,).
        vocabulary: the concepts.
    """

    both: NDArray[np.int64]
    unit: NDArray[np.int64]
    label: NDArray[np.int64]
    vocabulary: ConceptIndex

    @classmethod
    def nothing(cls, units: int, vocabulary: ConceptIndex) -> Self:
        """Return counts of 0, to which images are added."""
        concepts, categories = len(vocabulary.category_of), len(vocabulary.categories)
        both, unit = (np.zeros((units, n), dtype=np.int64) for n in (concepts, categories))
        return cls(both, unit, np.zeros(concepts, dtype=np.int64), vocabulary)

    def __add__(self, other: Counts) -> Counts:
        """Return the counts over the images of both; the images must be different ones.

        Raises:
            ValueError: the two have different units, concepts or categories.
        """
        mine, theirs = self.vocabulary, other.vocabulary
        same = self.both.shape == other.both.shape and mine.categories == theirs.categories
        if not same or not np.array_equal(mine.category_of, theirs.category_of):
            raise ValueError(
                f"counts of (units, concepts) {self.both.shape} and {other.both.shape} cannot be added; expected the "
                "same units, concepts and categories."
            )
        return Counts(self.both + other.both, self.unit + other.unit, self.label + other.label, mine)

    def iou(self) -> NDArray[np.float64]:
        """Return the IoU of each unit with each concept, (J, L), over the images that show the concept's category."""
        return intersection_over_union(self.both, self.unit[:, self.vocabulary.category_of], self.label)


def intersection_over_union(
    both: NDArray[np.integer[Any]], unit: NDArray[np.integer[Any]], label: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return the intersection over union from numbers of pixels, in [0, 1]; 0 where the union is empty.

    Args:
        both: pixels of the intersection.
        unit: pixels of the unit.
        label: pixels of the concept. The three shapes must broadcast.
    """
    union = unit + label - both
    return np.asarray(both / np.maximum(union, 1))
