"""The image while it is being painted, and the sheet that remembers what each pixel shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xai_eval.scenes.concepts import CONCEPTS
from xai_eval.scenes.polygons import Mask

# Raised with every change that moves a byte of a scene: probe sets, checkpoints and goldens go by it.
VERSION = 1
SIZE = 96
Colours = NDArray[np.float64]
Window = tuple[slice, slice]

_NOTHING = 0
_NUMBER = {concept: i + 1 for i, concept in enumerate(CONCEPTS)}
WHOLE: Window = (slice(0, SIZE), slice(0, SIZE))


class Canvas:
    """Colours (3, SIZE, SIZE) in [0, 255] and one concept, or none, per pixel.

    What is painted later hides what was painted before, in the colours and in the concepts alike. That makes
    the masks exact and apart from one another by construction.
    """

    def __init__(self) -> None:
        self.colours: Colours = np.zeros((3, SIZE, SIZE))
        self._concepts = np.zeros((SIZE, SIZE), dtype=np.uint8)

    def paint(self, concept: str | None, mask: Mask, colours: Colours, window: Window = WHOLE) -> None:
        """Cover exactly the masked pixels of a window with opaque colours (3, h, w); None is clutter."""
        np.copyto(self.colours[:, *window], colours, where=mask)
        self._concepts[window][mask] = _NUMBER[concept] if concept else _NOTHING

    def shade(self, mask: Mask, factor: float, window: Window = WHOLE) -> None:
        """Darken the masked pixels of a window; what they show stays the same."""
        self.colours[:, *window][:, mask] *= factor

    def masks(self) -> dict[str, Mask]:
        """Return the mask (SIZE, SIZE) of every concept with at least one visible pixel."""
        present = np.unique(self._concepts)
        return {c: self._concepts == n for c, n in _NUMBER.items() if n in present}
