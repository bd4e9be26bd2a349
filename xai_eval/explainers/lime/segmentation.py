"""Segmentations of scikit-image by name, with every parameter written down, so that new defaults change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import skimage.segmentation
from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name

# With this name lime gets no segmentation and uses its own default.
NONE = "none"
_SEEDED = "quickshift"
# quickshift has the parameters that lime itself uses. The other two have those of scikit-image's gallery ("Comparison
# of segmentation and superpixel algorithms"), but slic its own default of 100 segments. felzenszwalb's defaults are not
# used, because they give more superpixels than lime has samples.
_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "quickshift": {"kernel_size": 4, "max_dist": 200, "ratio": 0.2},
    "slic": {"n_segments": 100, "compactness": 10.0, "sigma": 1.0, "start_label": 0},
    "felzenszwalb": {"scale": 100.0, "sigma": 0.5, "min_size": 50},
}
SEGMENTATIONS = (*_PARAMETERS, NONE)


class Segmenter(Protocol):
    """A function that cuts an image (h, w, 3) into superpixels (h, w). With the name `none`, lime's default is used."""

    @property
    def name(self) -> str:
        """Name, as recorded in results."""
        ...

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the index of the superpixel of each pixel, (h, w)."""
        ...


@dataclass(frozen=True)
class Segmentation:
    """A segmentation algorithm of scikit-image; lime gets it as `segmentation_fn`.

    Attributes:
        name: one of `SEGMENTATIONS`.
        parameters: every keyword argument of the algorithm, including the seed.
    """

    name: str
    parameters: Mapping[str, Any]

    def describe(self) -> dict[str, Any]:
        """Return name and parameters as JSON values."""
        return {"name": self.name, **self.parameters}

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Cut an image (h, w, 3) into superpixels, numbered from 0 without gaps, (h, w).

        lime uses the numbers as columns of its samples. slic numbers from 1: lime would never hide the last superpixel,
        and would give a weight to a superpixel 0 that does not exist.

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
    """Return the segmentation called `name`.

    quickshift gets its seed under the name that scikit-image expects today. lime passes it under an old name, and drops
    it without a warning.

    Args:
        name: one of `SEGMENTATIONS`.
        seed: seed of quickshift; the others draw no random numbers.
        changes: parameters to replace, by name.

    Raises:
        UsageError: the name or a parameter is unknown, or parameters are given for `none`, which has none.
    """
    if name not in SEGMENTATIONS:
        raise unknown_name("segmentation", name, SEGMENTATIONS)
    if name == NONE:
        if changes:
            raise UsageError(
                f"segmentation {NONE!r} is lime's own and takes no parameters; got {dict(changes)}. Leave them out."
            )
        return Segmentation(NONE, {})
    own = dict(_PARAMETERS[name])
    for parameter in changes or {}:
        if parameter not in own:
            raise unknown_name(f"parameter of segmentation {name}", parameter, own)
    seeded = {"rng": seed} if name == _SEEDED else {}
    return Segmentation(name, {**own, **(changes or {}), **seeded})


def renumbered_from_zero(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Number superpixels (h, w) from 0 without gaps, in the order of their old numbers."""
    numbers: NDArray[np.int64] = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)
    return numbers


def in_reading_order(labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the rank of each of F superpixels in reading order of its first pixel, (F,).

    Two segmentations that cut an image into the same parts are equal once their superpixels are numbered this way.
    """
    first = np.unique(labels, return_index=True)[1]
    return np.argsort(np.argsort(first)).astype(np.int64)
