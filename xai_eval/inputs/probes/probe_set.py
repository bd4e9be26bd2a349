"""The records of a probe set: images by which units are dissected, with or without labels for their pixels."""

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
    """What a pixel can be labelled with, such as ("car", "object") or ("beach", "scene")."""

    name: str
    category: str


@dataclass(frozen=True, eq=False)
class ProbeImage:
    """One image of a probe set.

    Attributes:
        name: unique in its set.
        pixels: uint8 (h, w, 3), RGB.
        labels: int32 (S, H, W), S >= 0 label maps over the whole image, at any resolution of the same aspect: 0 is no
            label, 1 + i is concept i of the set. There are several because a pixel may show a part, an object and a
            colour at once; no pixel has one label in two maps. None where the set labels no pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32] | None = None


class Reader(Protocol):
    """Reads images one by one; it can be pickled, so that workers read for themselves."""

    def read(self, position: int) -> ProbeImage:
        """Read the image at a position; InputUnavailable where its files cannot be used."""
        ...


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """Images in a fixed order, each read when it is asked for; its position is its id.

    Attributes:
        name: name of the set, such as "scenes" or that of a folder.
        names: of the images, in order.
        reader: what reads them.
        concepts: of the labels of pixels; () without.
        digest: SHA-256 over what the set holds: contents, never names alone.
        notes: how it was made, and what is odd about it.

    Raises:
        InputUnavailable: there is no image.
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
                    f"probe set {self.name} has several {what} called {', '.join(twice[:3])}; expected a name of its "
                    "own for each. Rename them."
                )

    def __len__(self) -> int:
        return len(self.names)

    def read(self, position: int) -> ProbeImage:
        """Read the image at a position, from 0.

        Raises:
            IndexError: the set has no such position.
            InputUnavailable: a file of the image is missing or cannot be used.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of probe set {self.name}; expected 0 to {len(self) - 1}.")
        return self.reader.read(position)

    def subset(self, size: int, seed: int) -> ProbeSet:
        """Draw images at random, without repetition, in their order here.

        Of one seed, a smaller subset is part of a larger one.

        Args:
            size: how many, from 1 to all (which gives this very set).
            seed: which ones, from 0 to 2**32 - 1: the same with every version of numpy.

        Raises:
            UsageError: size or seed is out of range.
        """
        if not isinstance(size, int) or not 1 <= size <= len(self):
            raise UsageError(
                f"a subset of {size!r} images of probe set {self.name}; expected a whole number from 1 to "
                f"{len(self)}, the images that there are."
            )
        if not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
            raise UsageError(f"seed is {seed!r}; expected a whole number from 0 to {_LARGEST_SEED}.")
        if size == len(self):
            return self
        # Unlike Generator, RandomState never changes what it draws.
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
    """Reads some of the images of another reader."""

    reader: Reader
    positions: tuple[int, ...]

    def read(self, position: int) -> ProbeImage:
        return self.reader.read(self.positions[position])
