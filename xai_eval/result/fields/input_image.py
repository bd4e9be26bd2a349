"""The image as the model saw it: only for display, never judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Difference, Field, register


@register
@dataclass(frozen=True)
class InputImage(Field):
    """RGB image, uint8 of shape (h, w, 3). Goldens do not store it, because stages hold its fingerprint."""

    kind: ClassVar[str] = "image"
    stored_as: ClassVar[Mapping[str, str]] = {"array": "rgb"}
    array: NDArray[np.uint8]

    def condensed(self) -> None:
        """A golden stores no images: repositories would grow by 100 KB per case and version."""
        return

    def differences(self, golden: InputImage) -> tuple[Difference, ...]:
        """Never judged."""
        return ()
