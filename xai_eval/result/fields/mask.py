"""A set of pixels, compared by overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Severity, Shift
from xai_eval.result.map_similarity import centre_moved, iou

# However noisy an explainer is, masks that share less than this are two masks.
LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class Mask:
    """Boolean mask of shape (h, w). `least_iou` is what it must share with its golden."""

    kind: ClassVar[str] = "mask"
    array: NDArray[np.bool_]
    least_iou: float = 0.99

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The mask as packed bits."""
        return {"bits": np.packbits(self.array)}

    def meta(self) -> dict[str, Any]:
        """Shape and tolerance."""
        return {"shape": list(self.array.shape), "least_iou": self.least_iou}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        height, width = meta["shape"]
        bits = np.unpackbits(arrays["bits"], count=height * width)
        return cls(bits.reshape(height, width).astype(bool), meta["least_iou"])

    def condensed(self) -> Mask:
        """Masks are small already."""
        return self

    def compare(self, golden: Mask, name: str) -> tuple[Finding, ...]:
        """Compare shape, then overlap."""
        if self.array.shape != golden.array.shape:
            sentence = f"mask of {golden.array.shape} became {self.array.shape}"
            return (Finding(name, Severity.EVIDENCE, "shape", sentence),)
        overlap = iou(self.array, golden.array)
        if overlap >= self.least_iou:
            return ()
        sentence = f"IoU {overlap:.3g} (limit {self.least_iou:g})"
        return (Finding(name, Severity.EVIDENCE, "IoU", sentence, overlap, self.least_iou),)

    def distances(self, other: Mask) -> tuple[Distance, ...]:
        """What is missing of the IoU."""
        same_shape = self.array.shape == other.array.shape
        lost = 1.0 - iou(self.array, other.array) if same_shape else math.inf
        return (Distance("1 - IoU", lost, 1.0 - self.least_iou, 1.0 - LEAST_OVERLAP),)

    def shifts(self, golden: Mask) -> tuple[Shift, ...]:
        """Whether masks grow, as a share of the golden's area, and where their centres go, as a share of the side."""
        if self.array.shape != golden.array.shape or not (self.array.any() and golden.array.any()):
            return ()
        tolerance = 1.0 - self.least_iou
        grown = float(self.array.sum() / golden.array.sum() - 1.0)
        moved = centre_moved(self.array, golden.array)
        places = (Shift(f"centre {axis}", each, tolerance) for axis, each in moved.items())
        return (Shift("area", grown, tolerance), *places)
