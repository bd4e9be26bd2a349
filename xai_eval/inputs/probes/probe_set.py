"""The types of a probe set: the images that units are labelled with, with or without labels of pixels."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable, UsageError

_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Concept:
    """What a pixel can be labelled with, such as ("car", "object") or ("beach", "scene").

    Attributes:
        name: name of the concept.
        category: kind of concept; two concepts of different categories may have the same name.
    """

    name: str
    category: str


@dataclass(frozen=True, eq=False)
class ProbeImage:
    """One image of a probe set.

    Attributes:
        name: unique in its set.
        pixels: uint8 (h, w, 3), RGB.
        labels: S >= 0 label maps over the whole image, int32 (S, H, W), at any resolution with the same aspect ratio: 0
            is no label, 1 + i is concept i of the set. There may be several, because a pixel can belong to a part, an
            object and a colour at once. No pixel has the same label in two maps. None if the set labels no pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32] | None = None


class Reader(Protocol):
    """Reads images one by one. It can be pickled, so that other processes can read images themselves."""

    def read(self, position: int) -> ProbeImage:
        """Read the image at a position. Raises InputUnavailable if its files cannot be used."""
        ...


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """Images in a fixed order. An image is read when it is asked for; its position is its id.

    Attributes:
        name: name of the set, such as "scenes" or the name of a folder.
        names: names of the images, in order.
        reader: reads the images.
        concepts: the concepts that pixels are labelled with; empty if pixels have no labels.
        digest: SHA-256 over the content of the set, not over names alone.
        notes: how the set was made, and what is unusual about it.

    Raises:
        InputUnavailable: the set has no image.
        UsageError: two images have the same name, or two concepts the same name and category.
    """

    name: str
    names: tuple[str, ...]
    reader: Reader
    concepts: tuple[Concept, ...]
    digest: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise InputUnavailable(f"probe set {self.name} holds no image; expected at least one.")
        concepts = [f"{concept.name} ({concept.category})" for concept in self.concepts]
        for what, named in (("images", self.names), ("concepts", concepts)):
            twice = [name for name, count in Counter(named).items() if count > 1]
            if twice:
                raise UsageError(
                    f"probe set {self.name} has several {what} called {', '.join(twice[:3])}; expected a different "
                    "name for each. Rename them."
                )

    def __len__(self) -> int:
        return len(self.names)

    def read(self, position: int) -> ProbeImage:
        """Read the image at a position, from 0.

        Raises:
            IndexError: the position is out of range.
            InputUnavailable: a file of the image is missing or cannot be used.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of probe set {self.name}; expected 0 to {len(self) - 1}.")
        return self.reader.read(position)

    def subset(self, size: int, seed: int) -> ProbeSet:
        """Return a random subset of the images, in the same order.

        With the same seed, a smaller subset is part of a larger one. The subset is the same with every version of
        numpy.

        Args:
            size: number of images, from 1 to all of them (then this set itself is returned).
            seed: seed of the choice, from 0 to 2**32 - 1.

        Raises:
            UsageError: size or seed is out of range.
        """
        if not isinstance(size, int) or not 1 <= size <= len(self):
            raise UsageError(
                f"a subset of {size!r} images of probe set {self.name}; expected a whole number from 1 to "
                f"{len(self)}, the number of its images."
            )
        if not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
            raise UsageError(f"seed is {seed!r}; expected a whole number from 0 to {_LARGEST_SEED}.")
        if size == len(self):
            return self
        # numpy guarantees that RandomState draws the same numbers in every version; Generator may change.
        drawn = np.sort(np.random.RandomState(seed).permutation(len(self))[:size]).astype("<i8")
        positions = tuple(drawn.tolist())
        return replace(
            self,
            names=tuple(self.names[position] for position in positions),
            reader=_Chosen(self.reader, positions),
            digest=hashlib.sha256(f"subset of {self.digest}:".encode() + drawn.tobytes()).hexdigest(),
            notes=(*self.notes, f"{size} of {len(self)} images, drawn with seed {seed}"),
        )


@dataclass(frozen=True)
class _Chosen:
    """Reads the images at some positions of another reader."""

    reader: Reader
    positions: tuple[int, ...]

    def read(self, position: int) -> ProbeImage:
        return self.reader.read(self.positions[position])
