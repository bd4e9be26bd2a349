"""The types for images to explain: `LabelledImage` and `ImageSet`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array


@dataclass(frozen=True)
class Intended:
    """The class that an image is meant to show, which need not be the class that a model predicts.

    Attributes:
        name: name of the class.
        wnid: WordNet id such as "n02007558", if known.
    """

    name: str
    wnid: str | None = None


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with what is known about it.

    Attributes:
        name: unique in its set; the relative posix path of a file, or the name of a scene.
        pixels: uint8 (h, w, 3), RGB.
        digest: SHA-256 of the file's bytes, or of the pixels of a scene.
        intended: the class that it is meant to show; None if unknown.
        mask: true on the intended object, bool (h, w); None if unknown.
        notes: what was done to read it, and what is unusual about its name.
        source: where it comes from, without paths of this machine.
        concepts: by name of everything that is known to be visible, including the object: where it is, bool (h, w).
    """

    name: str
    pixels: NDArray[np.uint8]
    digest: str
    intended: Intended | None = None
    mask: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    concepts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Fingerprint of the pixels; of a large photograph, it takes longer than an explanation on a GPU."""
        return fingerprint_array(self.pixels)

    @cached_property
    def mask_digest(self) -> str:
        """SHA-256 of the mask; empty without one."""
        return digest_of_mask(self.mask)


def digest_of_mask(mask: NDArray[np.bool_] | None) -> str:
    """Return the SHA-256 of a mask, bool (h, w); empty without one."""
    return "" if mask is None else hashlib.sha256(mask.tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in a fixed order, with unique names.

    Attributes:
        name: name of the set. An image has the same set and name, whether it was given by folder, file or glob.
        images: the images.
        complete: false for a part of a set, such as one file of a folder. Goldens of images that are not in the part
            are then not reported as unused. So are those of a folder from which an image was left out.
        notes: what was left out of the folder, and why; one sentence each.

    Raises:
        UsageError: two images have the same name.
    """

    name: str
    images: tuple[LabelledImage, ...]
    complete: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(image.name for image in self.images).items() if count > 1]
        if twice:
            raise UsageError(
                f"image set {self.name} has several images called {', '.join(twice[:3])}; results are "
                "filed by name, so each needs its own. Rename them."
            )

    def by_name(self) -> ImageSet:
        """Return the same set in the order of the names of its images."""
        return replace(self, images=tuple(sorted(self.images, key=lambda image: image.name)))

    def __len__(self) -> int:
        return len(self.images)
