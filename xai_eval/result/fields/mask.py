"""A set of pixels, compared by overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import WrongValue, entry
from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import to_json
from xai_eval.result.fields.possible import WIDEST
from xai_eval.result.fields.stored_arrays import stored_array
from xai_eval.result.map_similarity import centre_moved, iou

# No tolerance may allow less overlap, however noisy an explainer is, because such masks show different places.
LEAST_OVERLAP = 0.5
_SHAPE = tuple[int, int]


@register
@dataclass(frozen=True)
class Mask(Field):
    """Boolean mask of shape (h, w).

    Attributes:
        array: the mask.
        least_iou: the smallest allowed IoU with its golden.
        undecided: pixels that rounding could have put into the mask or out of it, bool (h, w), if the mask is chosen by
            a threshold or by ranks; None if there are none. Of these the golden decides, unless they are too many.
    """

    kind: ClassVar[str] = "mask"
    tolerance_attribute: ClassVar[str] = "least_iou"
    array: NDArray[np.bool_]
    least_iou: float = 0.99
    undecided: NDArray[np.bool_] | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The mask, and what is undecided, as packed bits."""
        undecided = {} if self.undecided is None else {"undecided": np.packbits(self.undecided)}
        return {"bits": np.packbits(self.array), **undecided}

    def meta(self) -> dict[str, Any]:
        """Shape and tolerance."""
        return {"least_iou": to_json(self.least_iou), "shape": list(self.array.shape)}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        shape = entry(meta, "shape", _SHAPE)
        undecided = _unpacked(arrays, "undecided", shape) if "undecided" in arrays else None
        return cls(_unpacked(arrays, "bits", shape), float(entry(meta, "least_iou", float)), undecided)

    def condensed(self) -> Mask:
        """The mask alone."""
        return Mask(self.array, self.least_iou)

    def _nearest(self, golden: Mask) -> Mask:
        """Return the mask with all undecided pixels as in the golden, which has the same shape."""
        if self.undecided is None or self.undecided.mean() > WIDEST:
            return self
        return Mask(np.where(self.undecided, golden.array, self.array), self.least_iou)

    def differences(self, golden: Mask) -> Iterator[Difference]:
        """One less the IoU, and as signed changes the growth of the mask and the movement of its centre."""
        same_shape = self.array.shape == golden.array.shape
        # Masks of different shapes have no IoU: their distance is infinite.
        now = self._nearest(golden) if same_shape else self
        overlap = iou(now.array, golden.array) if same_shape else -math.inf
        statements, shifts = self._statements(golden, overlap), now._moved(golden, overlap)
        yield Difference("1 - IoU", 1.0 - overlap, 1.0 - self.least_iou, statements, shifts, 1.0 - LEAST_OVERLAP)

    def _statements(self, golden: Mask, overlap: float) -> Iterator[Statement]:
        if self.array.shape == golden.array.shape:
            sentence = f"its overlap with the golden is only {overlap:.3g} (IoU; needs at least {self.least_iou:g})"
            yield Statement(Severity.EVIDENCE, "IoU", sentence, overlap, self.least_iou)
        else:
            sentence = f"a mask of shape {golden.array.shape} became one of {self.array.shape}"
            yield Statement(Severity.EVIDENCE, "shape", sentence)

    def _moved(self, golden: Mask, overlap: float) -> Iterator[Shift]:
        """Yield growth as a share of the area of the golden, and the movement of the centre as a share of the side."""
        area, area_was = int(np.count_nonzero(self.array)), int(np.count_nonzero(golden.array))
        if self.array.shape == golden.array.shape and area and area_was:
            tolerance = 1.0 - self.least_iou
            yield Shift("area", area / area_was - 1.0, tolerance)
            same = overlap == 1.0  # as almost always, and much faster
            moved = {"row": 0.0, "column": 0.0} if same else centre_moved(self.array, golden.array)
            for axis, each in moved.items():
                yield Shift(f"centre {axis}", each, tolerance)


def _unpacked(arrays: Arrays, name: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (h, w) of packed bits, of which there have to be as many as the shape needs."""
    bits = stored_array(arrays, name, "iu", axes=1)
    pixels = shape[0] * shape[1]
    if min(shape) < 0 or bits.dtype != np.uint8 or bits.size != -(-pixels // 8):
        raise WrongValue(f"holds {bits.size} of {bits.dtype}; expected the packed bits of {pixels} pixels", f".{name}")
    return np.unpackbits(bits, count=pixels).reshape(shape).view(np.bool_)
