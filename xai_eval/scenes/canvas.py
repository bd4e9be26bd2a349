"""The image while it is being painted, and the concept that each of its pixels shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xai_eval.scenes.concepts import CONCEPTS
from xai_eval.scenes.polygons import Mask

# Must be raised with every change that alters a byte of a scene, because digests of probe sets contain it.
VERSION = 1
SIZE = 96
Colours = NDArray[np.float64]
Window = tuple[slice, slice]

_NOTHING = 0
_NUMBER = {concept: i + 1 for i, concept in enumerate(CONCEPTS)}
WHOLE: Window = (slice(0, SIZE), slice(0, SIZE))


class Canvas:
    """An image being painted: colours (3, SIZE, SIZE) in [0, 255], and at most one concept per pixel.

    Whatever is painted replaces both the colours and the concept of the pixels that it covers. So the masks are exact,
    and no pixel is in two masks.
    """

    def __init__(self) -> None:
        self.colours: Colours = np.zeros((3, SIZE, SIZE))
        self._concepts = np.zeros((SIZE, SIZE), dtype=np.uint8)

    def paint(self, concept: str | None, mask: Mask, colours: Colours, window: Window = WHOLE) -> None:
        """Paint the masked pixels of a window with opaque colours (3, h, w).

        Args:
            concept: what the pixels show; None for clutter, which belongs to no concept.
            mask: which pixels of the window to paint, (h, w).
            colours: their colours in [0, 255], (3, h, w).
            window: rows and columns of the canvas; the whole canvas by default.
        """
        np.copyto(self.colours[:, *window], colours, where=mask)
        self._concepts[window][mask] = _NUMBER[concept] if concept else _NOTHING

    def shade(self, mask: Mask, factor: float, window: Window = WHOLE) -> None:
        """Multiply the colours of the masked pixels of a window by a factor; their concepts stay the same."""
        self.colours[:, *window][:, mask] *= factor

    def masks(self) -> dict[str, Mask]:
        """Return the mask (SIZE, SIZE) of every concept with at least one visible pixel."""
        present = np.unique(self._concepts)
        return {c: self._concepts == n for c, n in _NUMBER.items() if n in present}
