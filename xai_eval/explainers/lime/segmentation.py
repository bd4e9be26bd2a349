"""Segmentations by name, with parameters that are written down instead of inherited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import skimage.segmentation
from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name

# `none` hands no segmentation to lime, which then runs what is its default.
NONE = "none"
_SEEDED = "quickshift"
# quickshift as lime runs it. The other two as in scikit-image's gallery ("Comparison of segmentation and superpixel
# algorithms"), with slic's own default of 100 segments: felzenszwalb's defaults give more superpixels than lime has
# samples.
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "quickshift": {"kernel_size": 4, "max_dist": 200, "ratio": 0.2},
    "slic": {"n_segments": 100, "compactness": 10.0, "sigma": 1.0, "start_label": 0},
    "felzenszwalb": {"scale": 100.0, "sigma": 0.5, "min_size": 50},
}
SEGMENTATIONS = (*_PARAMETERS, NONE)


class Segmenter(Protocol):
    """Whatever cuts an image (h, w, 3) into superpixels (h, w). `none` as its name leaves the cutting to lime."""

    @property
    def name(self) -> str:
        """How it is called."""
        ...

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the number of the superpixel of each pixel."""
        ...


@dataclass(frozen=True)
class Segmentation:
    """A segmentation algorithm of scikit-image, to be given to lime as `segmentation_fn`.

    Attributes:
        name: one of `SEGMENTATIONS`.
        parameters: every keyword argument that the algorithm is called with, the seed among them.
    """

    name: str
    parameters: Mapping[str, Any]

    def describe(self) -> dict[str, Any]:
        """Name and parameters, as JSON values."""
        return {"name": self.name, **self.parameters}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Cut an image (h, w, 3) into superpixels, numbered from 0 without gaps, (h, w).

        lime takes the numbers for the columns of its samples: with slic's own numbering, from 1, it never perturbs
        the last superpixel and explains by a first one that does not exist.

        Raises:
            UsageError: scikit-image refuses the parameters.
        """
        try:
            labels = getattr(skimage.segmentation, self.name)(pixels, **self.parameters)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"segmentation {self.name} of an image {pixels.shape} with {dict(self.parameters)} failed: {error}. "
                "Check its parameters in scikit-image's documentation."
            ) from error
        return renumbered_from_zero(np.asarray(labels))


def choose_segmentation(name: str, seed: int, changes: Mapping[str, Any] | None = None) -> Segmentation:
    """Return the segmentation called `name`; `changes` replace its parameters.

    The seed of quickshift is handed over as scikit-image wants it today: lime passes it under an old name, which is
    filtered away without a word.

    Raises:
        UsageError: an unknown name or parameter, or parameters for `none`, which has none.
    """
    if name not in SEGMENTATIONS:
        raise unknown_name("segmentation", name, SEGMENTATIONS)
    if name == NONE:
        if changes:
            raise UsageError(f"segmentation {NONE!r} is lime's own and takes no parameters; got {dict(changes)}.")
        return Segmentation(NONE, {})
    own = dict(_PARAMETERS[name])
    for parameter in changes or {}:
        if parameter not in own:
            raise unknown_name(f"parameter of segmentation {name}", parameter, own)
    seeded = {"rng": seed} if name == _SEEDED else {}
    return Segmentation(name, {**own, **(changes or {}), **seeded})


def renumbered_from_zero(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Number superpixels from 0 without gaps, in the order of their old numbers."""
    numbers: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)
    return numbers


def in_reading_order(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return for every superpixel its number in reading order, (F,), by which equal partitions look equal."""
    first = np.unique(labels, return_index=True)[1]
    return np.argsort(np.argsort(first)).astype(np.int64)
