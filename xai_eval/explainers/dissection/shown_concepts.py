"""Which concepts the label maps of an image show, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.counts import ConceptIndex


@dataclass(frozen=True, eq=False)
class ShownConcepts:
    """The l concepts that the label maps of an image show.

    Attributes:
        concepts: their indices, ascending, (l,).
        pixels: number of pixels of each, (l,).
        maps: S maps of the places of pixels in `concepts`, counted from 1; 0 for no label. No pixel has the same
            concept in two maps, (S, H * W).
        size: height and width of the maps.
    """

    concepts: NDArray[np.int64]
    pixels: NDArray[np.int64]
    maps: NDArray[np.unsignedinteger[Any]]
    size: tuple[int, int]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]], vocabulary: ConceptIndex) -> Self:
        """Look at label maps.

        Args:
            labels: label maps, (S, H, W): 0 for no label, else 1 + index of the concept.
            vocabulary: the concepts.

        Raises:
            UsageError: a label map holds a number that stands for no concept.
        """
        maps = _each_once(labels.reshape(len(labels), math.prod(labels.shape[1:])))
        pixels = _pixels(maps, len(vocabulary.category_of))
        concepts = np.flatnonzero(pixels[1:])
        columns = np.zeros(len(pixels), dtype=np.min_scalar_type(len(concepts)))
        columns[concepts + 1] = np.arange(1, len(concepts) + 1)
        return cls(concepts, pixels[concepts + 1], columns[maps], (labels.shape[1], labels.shape[2]))


def _each_once(maps: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the maps (S, n), in which a label that a pixel has in an earlier one as well is 0."""
    if len(maps) < 2:
        return maps
    once = maps.copy()
    for index, one in enumerate(once):
        one[(once[:index] == one).any(axis=0)] = 0
    return once


def _pixels(maps: NDArray[np.integer[Any]], known: int) -> NDArray[np.int64]:
    """Return how many pixels have each number from 0 to `known`, (known + 1,)."""
    least, most = (int(maps.min()), int(maps.max())) if maps.size else (0, 0)
    if least < 0 or most > known:
        wrong = least if least < 0 else most
        raise UsageError(
            f"a label map holds {wrong}; expected 0 (no label) to {known} (1 + index of the concept). Check the labels."
        )
    return np.bincount(maps.reshape(-1), minlength=known + 1)
