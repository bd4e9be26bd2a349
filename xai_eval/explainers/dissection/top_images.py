"""Find the images with the largest activation of each unit, batch by batch, with an exact merge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import ModelMisbehaves, UsageError

# Largest number that fits into the lower half of a key. An id is stored as its difference from this number, so that of
# equal activations the one with the smaller id has the larger key.
_LAST_ID = 2**32 - 1
# Number of keys computed at once, small because allocating memory takes longer than the selection.
_BLOCK = 2**16
# Up to how many activations numpy lays out unit by unit faster than torch is called.
_FEW = 2**14
# Number of activations laid out unit by unit at once: with fewer units at a time that takes four times as long.
_LAID_OUT = 2**22


@dataclass(frozen=True, eq=False)
class TopImages:
    """The k images with the largest activation of each of J units; of equal activations, the smaller id is first.

    Attributes:
        keys: activation and id packed into one integer, descending, (J, k') with k' <= k. No two keys are equal, so the
            result does not depend on how the images were split.
        k: largest number of images to keep.
    """

    keys: NDArray[np.int64]
    k: int

    @property
    def values(self) -> NDArray[np.float32]:
        """Activations, (J, k'), descending."""
        return _flipped((self.keys >> 32).astype(np.int32)).view(np.float32)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the images, (J, k'), best first."""
        return _LAST_ID - (self.keys & _LAST_ID)

    def merge(self, other: TopImages) -> TopImages:
        """Return the top images of both, which must come from different images.

        Raises:
            ValueError: the two have different k or different numbers of units, or one image is in both.
        """
        if (self.k, len(self.keys)) != (other.k, len(other.keys)):
            raise ValueError(
                f"top {self.k} images of {len(self.keys)} units cannot be merged with top {other.k} of "
                f"{len(other.keys)}; expected the same numbers in both."
            )
        keys = _largest(np.concatenate([self.keys, other.keys], axis=1), self.k)
        twice = keys[:, 1:] == keys[:, :-1]
        if twice.any():
            image = int(TopImages(keys[:, 1:][twice][None], 1).ids[0, 0])
            raise ValueError(f"image {image} is in both of the top images to merge; expected each image in one shard.")
        return TopImages(keys, self.k)


def top_images(activations: NDArray[np.float32], ids: NDArray[np.integer[Any]], k: int) -> TopImages:
    """Return the k images with the largest activation of each unit.

    For the smallest activations, pass `-activations`.

    Args:
        activations: one number per image and unit, (n, J).
        ids: ids of the images, (n,), each below 2**32 - 1.
        k: number of images to keep; all are kept if there are fewer.

    Raises:
        UsageError: k is below 1, or an id is out of range.
        ModelMisbehaves: an activation is not finite.
    """
    if k < 1:
        raise UsageError(f"top_k is {k}; expected at least one image.")
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < _LAST_ID:
        raise UsageError(f"ids of images run from {ids.min()} to {ids.max()}; expected 0 to {_LAST_ID - 1}.")
    refuse_what_is_not_finite(activations)
    lower = _LAST_ID - ids.astype(np.int64)
    blocks = [_largest(_keys(block, lower), k) for block in _blocks_of_units(activations)]
    return TopImages(blocks[0] if len(blocks) == 1 else np.concatenate(blocks), k)


def refuse_what_is_not_finite(activations: NDArray[np.float32]) -> None:
    """Check that activations (n, J, ...) are finite.

    Raises:
        ModelMisbehaves: a value is NaN or infinite; the error names its unit and image.
    """
    if not np.isfinite(activations).all():
        image, unit = (int(place) for place in np.argwhere(~np.isfinite(activations))[0][:2])
        raise ModelMisbehaves(
            f"unit {unit} is not finite for the image at position {image} of its batch; expected finite numbers. "
            "Look for a division by zero or an overflow in the model, for example in half precision."
        )


def _blocks_of_units(activations: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield the activations (n, J) unit by unit, a few units (j, n) at a time."""
    # Adding 0.0 turns -0.0 into 0.0, so that both have the same key.
    if activations.size <= _FEW:
        yield activations.T.astype(np.float32, order="C") + np.float32(0.0)
        return
    images, units = activations.shape
    laid_out, at_once = (max(1, size // max(1, images)) for size in (_LAID_OUT, _BLOCK))
    for start in range(0, units, laid_out):
        part = np.require(activations[:, start : start + laid_out], dtype=np.float32, requirements="W")
        # torch moves tiles that fit into the cache; numpy walks through the memory column by column.
        by_unit = torch.from_numpy(part).T.contiguous().numpy()
        yield from (by_unit[first : first + at_once] + np.float32(0.0) for first in range(0, len(by_unit), at_once))


def _keys(activations: NDArray[np.float32], lower: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the keys (J, n) of activations (J, n)."""
    bits = activations.view(np.int32)
    keys: NDArray[np.int64] = _flipped(bits).astype(np.int64)
    keys <<= 32
    keys |= lower
    return keys


def _flipped(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Turn the bits of floats into integers of the same order, or back.

    The bits of negative floats, read as an integer, grow as the float falls, so all but the sign bit are inverted.
    """
    return bits ^ ((bits >> 31) & np.int32(2**31 - 1))


def _largest(keys: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the k largest keys of each row of (J, n), descending; the order of `keys` changes."""
    rest = keys.shape[1] - k
    if rest > 0:
        keys.partition(rest, axis=1)  # several times as fast as torch.topk
    largest = keys[:, max(0, rest) :].copy()
    largest.sort(axis=1)
    return np.ascontiguousarray(largest[:, ::-1])
