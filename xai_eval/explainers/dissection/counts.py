"""Pixels that units and concepts share, added up over pictures: whole numbers, so any order gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.explainers.dissection.netdissect import Overlap
from xai_eval.inputs.probe_set import Concept


@dataclass(frozen=True)
class Counts:
    """Pixels of J units and L concepts of K categories.

    Attributes:
        concepts: the L concepts.
        both: where the unit is active and the concept is, int64 (J, L).
        unit: where the unit is active, over the pictures that hold anything of the category, int64 (J, K).
        label: where the concept is, int64 (L,).
    """

    concepts: tuple[Concept, ...]
    both: NDArray[np.int64]
    unit: NDArray[np.int64]
    label: NDArray[np.int64]

    @classmethod
    def none(cls, units: int, concepts: Sequence[Concept]) -> Self:
        """Nothing counted yet."""
        kinds, size = len({each.category for each in concepts}), len(concepts)
        zeros = (np.zeros(shape, dtype=np.int64) for shape in ((units, size), (units, kinds), (size,)))
        return cls(tuple(concepts), *zeros)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.concepts, self.both + other.both, self.unit + other.unit, self.label + other.label)

    @cached_property
    def category_of(self) -> NDArray[np.intp]:
        """Category of each concept, (L,), numbered as they come."""
        categories = list(dict.fromkeys(each.category for each in self.concepts))
        return np.array([categories.index(each.category) for each in self.concepts], dtype=np.intp)

    def include(self, units: NDArray[np.int64], overlap: Overlap) -> None:
        """Count one more picture, in place: there are too many of them to add up tables of all units and concepts.

        Args:
            units: which units are active on it, (n,), none of them twice.
            overlap: of these, with the concepts that it shows.
        """
        shown = overlap.concepts
        self.both[np.ix_(units, shown)] += overlap.both
        self.unit[np.ix_(units, np.unique(self.category_of[shown]))] += overlap.unit[:, None]
        self.label[shown] += overlap.label

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of every unit with every concept, (J, L); 0 where there is neither.

        Counted over the pictures that hold anything of the concept's category: where nobody said what a pixel is in
        that regard, the unit cannot be wrong.
        """
        union = self.unit[:, self.category_of] + self.label - self.both
        return np.asarray(np.divide(self.both, union, out=np.zeros(union.shape), where=union > 0))
