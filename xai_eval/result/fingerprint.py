"""Fingerprints of tensors: a digest, and a sketch from which the distance of two tensors can be estimated later."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.significant_bits import FINE, KNOWN_BITS, are_fine, significant_bits

SKETCH_SIZE = 64
_SEED = 20240101
_CHUNK = 2**18
# Of more elements, hardly any has a bucket of the sketch alone.
_MOST_LONE = 512
# No array may move by more than this many times the usual limit, however much it amplifies rounding: the limit of a map
# on a CPU is then 1 %, which is half of what its field allows.
MOST_AMPLIFIED = 50.0
# The distance of arrays whose digests differ but whose sketches are equal, so that it cannot be estimated.
BELOW_SKETCH = 1e-9


@dataclass(frozen=True)
class Fingerprint:
    """What is stored of a stage: sha256 digest, shape, and for numbers a sketch of 64 floats.

    Attributes:
        digest: of the content.
        shape: of an array.
        sketch: 64 numbers, from which distances of arrays are estimated.
        meaning: digest of the content without how it is written, if it can be written in several ways. Two contents
            with one meaning are the same.
        amplification: how many times as much as its inputs an array moves, measured when it was computed; at least 1.
        bits: to how many significant bits all numbers of an array are rounded, see `significant_bits`; 0 if that is not
            known, or not recorded, as by earlier versions.
    """

    digest: str
    shape: tuple[int, ...] = ()
    sketch: NDArray[np.float32] | None = None
    meaning: str = ""
    amplification: float = 1.0
    bits: int = 0

    def __post_init__(self) -> None:
        # A shorter sketch, which a stored file may hold, would be compared with every part of a whole one.
        if self.sketch is not None and self.sketch.shape != (SKETCH_SIZE,):
            raise ValueError(f"a sketch has {SKETCH_SIZE} numbers, got an array of shape {self.sketch.shape}")
        if self.bits not in KNOWN_BITS:
            raise ValueError(f"significant bits are one of {KNOWN_BITS}, got {self.bits}")

    def distance(self, other: Fingerprint) -> float:
        """Estimate the relative change |x - y| / |y| from `other` (y) to this one (x).

        0 where the digests or the meanings agree; `BELOW_SKETCH` where they differ and the sketches agree; infinite
        where the shapes differ or there is no sketch to compare.
        """
        if self.digest == other.digest or self.written_otherwise(other):
            return 0.0
        if self.sketch is None or other.sketch is None or self.shape != other.shape:
            return float("inf")
        now, was = self.sketch.astype(np.float64), other.sketch.astype(np.float64)
        change, scale = _length(now - was), _length(was)
        if change == 0.0:
            return BELOW_SKETCH
        return change / scale if math.isfinite(change) and scale > 0.0 else float("inf")

    def coarser_than(self, other: Fingerprint) -> bool:
        """Whether all numbers of this array are rounded to fewer significant bits than those of the other one."""
        if not 0 < self.bits < FINE or self.digest == other.digest:
            return False
        return self.bits < max(other.bits, other.bits_in_sketch)

    @property
    def bits_in_sketch(self) -> int:
        """What the sketch of a small array tells of its significant bits: a bucket of one element holds this element.

        It is `FINE` if one of them shows it, and else 0. So a golden of an earlier version tells it, too.
        """
        size = math.prod(self.shape)
        if self.sketch is None or not 0 < size <= _MOST_LONE:
            return 0
        return FINE if are_fine(self.sketch[_lone_buckets(size)]) else 0

    @property
    def leeway(self) -> float:
        """How many times the usual limit of its kind this stage may move, from 1 to `MOST_AMPLIFIED`."""
        return min(max(self.amplification, 1.0), MOST_AMPLIFIED) if math.isfinite(self.amplification) else 1.0

    def written_otherwise(self, other: Fingerprint) -> bool:
        """Whether the contents differ, but only in how the same is written."""
        shared = {self.digest, self.meaning} & {other.digest, other.meaning} - {""}
        return self.digest != other.digest and bool(shared)


def _length(vector: NDArray[np.float64]) -> float:
    """Return the norm; `np.linalg.norm` takes twice as long for so few numbers, of which a run has many."""
    return math.sqrt(vector @ vector)


def fingerprint_text(text: str, meaning: str = "") -> Fingerprint:
    """Fingerprint a text, such as a name or digest, for which only equality matters.

    Args:
        text: the content.
        meaning: a text that is the same for every way to write the content; empty if there is one way.
    """
    return Fingerprint(_text_digest(text), meaning=_text_digest(meaning) if meaning and meaning != text else "")


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_array(array: NDArray[Any], amplification: float = 1.0) -> Fingerprint:
    """Fingerprint numbers of any shape; `amplification` is kept with them.

    The sketch is a count sketch (Charikar, Chen and Farach-Colton 2002): every element is added, with a random
    sign, to one of 64 buckets. It is linear, so the distance of two sketches estimates the distance of the two
    arrays. The relative standard deviation is about sqrt(1 / 128) = 9 % for a distance, and 13 % for `distance`, which
    divides two estimates.
    """
    array = np.ascontiguousarray(array)
    header = f"{array.dtype.str}{array.shape}".encode()
    digest = hashlib.sha256(header + array.tobytes()).hexdigest()
    sketch = _count_sketch(array.reshape(-1)).astype(np.float32)
    return Fingerprint(digest, array.shape, sketch, amplification=amplification, bits=significant_bits(array))


@functools.lru_cache(maxsize=64)
def _lone_buckets(size: int) -> NDArray[np.bool_]:
    """Return which buckets of the sketch of so many elements hold a single one, (64,)."""
    raw = np.atleast_1d(np.random.PCG64(_SEED).random_raw(size)).astype(np.uint64, copy=False)
    lone: NDArray[np.bool_] = np.bincount(_buckets(raw), minlength=SKETCH_SIZE) == 1
    return lone


def _buckets(raw: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (raw & np.uint64(SKETCH_SIZE - 1)).view(np.int64)


def _count_sketch(values: NDArray[Any]) -> NDArray[np.float64]:
    """Add every element with its sign to its bucket. Signs and buckets come from raw PCG64 output, because that is the
    only random stream that numpy promises never to change.
    """
    stream = np.random.PCG64(_SEED)
    sketch = np.zeros(SKETCH_SIZE)
    for start in range(0, values.size, _CHUNK):
        chunk = values[start : start + _CHUNK].astype(np.float64)
        raw = np.atleast_1d(stream.random_raw(chunk.size)).astype(np.uint64, copy=False)
        # Several times faster than to choose the elements whose sign changes.
        chunk *= 1.0 - 2.0 * (raw >> np.uint64(63)).view(np.int64)
        sketch += np.bincount(_buckets(raw), weights=chunk, minlength=SKETCH_SIZE)
    return sketch
