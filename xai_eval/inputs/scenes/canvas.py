"""The picture while it is being painted, and the sheet that remembers what each pixel shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xai_eval.inputs.scenes.concepts import CONCEPTS
from xai_eval.inputs.scenes.polygons import Mask

SIZE = 96
Colours = NDArray[np.float64]
Window = tuple[slice, slice]

_NOTHING = 0
_NUMBER = {concept: i + 1 for i, concept in enumerate(CONCEPTS)}
WHOLE: Window = (slice(0, SIZE), slice(0, SIZE))


class Canvas:
    """Colours (SIZE, SIZE, 3) in [0, 255] and one concept, or none, per pixel.

    What is painted later hides what was painted before, in the colours and in the concepts alike. That makes the
    masks exact and apart from one another by construction.
    """

    def __init__(self) -> None:
        self.colours: Colours = np.zeros((SIZE, SIZE, 3))
        self._concepts = np.zeros((SIZE, SIZE), dtype=np.uint8)

    def paint(self, concept: str | None, mask: Mask, colours: Colours, window: Window = WHOLE) -> None:
        """Cover exactly the masked pixels of a window with opaque colours (h, w, 3); None is clutter."""
        np.copyto(self.colours[window], colours, where=mask[:, :, None])
        self._concepts[window][mask] = _NUMBER[concept] if concept else _NOTHING

    def shade(self, mask: Mask, factor: float, window: Window = WHOLE) -> None:
        """Darken the masked pixels of a window; what they show stays the same."""
        self.colours[window][mask] *= factor

    def share_of(self, concept: str, mask: Mask, window: Window) -> float:
        """Return the part of the concept's visible pixels that the mask would hide; 0 if none is visible."""
        number = _NUMBER[concept]
        hidden = np.count_nonzero(mask & (self._concepts[window] == number))
        return int(hidden) / max(1, int(np.count_nonzero(self._concepts == number)))

    def masks(self) -> dict[str, Mask]:
        """Return the mask (SIZE, SIZE) of every concept with at least one visible pixel."""
        present = np.unique(self._concepts)
        return {c: self._concepts == n for c, n in _NUMBER.items() if n in present}
