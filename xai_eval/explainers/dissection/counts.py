"""How many pixels units and concepts share: whole numbers, which add up to the same in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ConceptIndex:
    """The concepts of pixel labels and their categories.

    Attributes:
        category_of: index into `categories` of each concept, (L,).
        categories: K names, such as "object" and "scene".
    """

    category_of: NDArray[np.int64]
    categories: tuple[str, ...]

    @classmethod
    def of(cls, category_names: Sequence[str]) -> Self:
        """Build from the name of each concept's category; categories are in the order in which they first come."""
        categories = tuple(dict.fromkeys(category_names))
        return cls(np.array([categories.index(name) for name in category_names], dtype=np.int64), categories)


@dataclass(frozen=True, eq=False)
class Counts:
    """Pixels of J units, L concepts and K categories over some images.

    Attributes:
        both: that a unit and a concept share, (J, L).
        unit: of a unit in the images that show a category anywhere, (J, K).
        label: of a concept, (L,).
        vocabulary: the concepts.
    """

    both: NDArray[np.int64]
    unit: NDArray[np.int64]
    label: NDArray[np.int64]
    vocabulary: ConceptIndex

    @classmethod
    def nothing(cls, units: int, vocabulary: ConceptIndex) -> Self:
        """Counts of no image, from which a sum begins."""
        concepts, categories = len(vocabulary.category_of), len(vocabulary.categories)
        both, unit = (np.zeros((units, n), dtype=np.int64) for n in (concepts, categories))
        return cls(both, unit, np.zeros(concepts, dtype=np.int64), vocabulary)

    def __add__(self, other: Counts) -> Counts:
        """Counts of the images of both.

        Raises:
            ValueError: they count other units, concepts or categories.
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
        """IoU of each unit with each concept, (J, L), over the images that show the concept's category."""
        return intersection_over_union(self.both, self.unit[:, self.vocabulary.category_of], self.label)


def intersection_over_union(
    both: NDArray[np.integer[Any]], unit: NDArray[np.integer[Any]], label: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """IoU from numbers of pixels of any shapes that broadcast; 0 where there is nothing at all."""
    union = unit + label - both
    return np.asarray(both / np.maximum(union, 1))
