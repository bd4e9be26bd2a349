"""The records of images to explain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError


@dataclass(frozen=True)
class Intended:
    """The class that an image is meant to show; what a model sees in it is another matter."""

    name: str
    wnid: str | None = None


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with what is known about it.

    Attributes:
        name: unique in its set; the relative posix path of a file, or the name of a scene.
        pixels: uint8 (h, w, 3), RGB.
        digest: SHA-256 of the file's bytes, or of the pixels of a scene.
        intended: the class it is meant to show, where that is known.
        mask: bool (h, w), true on the intended object, where that is known.
        concepts: bool (h, w) by name of what else is known to be seen, the object among it.
        notes: what had to be done to read it, and what about its name is odd.
        source: where it comes from, without the paths of one machine.
    """

    name: str
    pixels: NDArray[np.uint8]
    digest: str
    intended: Intended | None = None
    mask: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    concepts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in a fixed order, each with a name of its own.

    Attributes:
        name: name of the set; an image has the same set and name whether it was given by folder, file or glob.
        images: the images.
        complete: false for a selection, such as one file of a folder: goldens of the others are not unused then.

    Raises:
        UsageError: two images have the same name.
    """

    name: str
    images: tuple[LabelledImage, ...]
    complete: bool = True

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(image.name for image in self.images).items() if count > 1]
        if twice:
            raise UsageError(
                f"image set {self.name} has several images called {', '.join(twice[:3])}; results are "
                "filed by name, so each needs its own. Rename them."
            )

    def __len__(self) -> int:
        return len(self.images)
