"""The image as the model saw it: only for display, never judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import WrongValue
from xai_eval.result.fields.base import Arrays, Difference, Field, register
from xai_eval.result.fields.stored_arrays import require_shape, stored_array


@register
@dataclass(frozen=True)
class InputImage(Field):
    """RGB image, uint8 of shape (h, w, 3). Goldens do not store it, because stages hold its fingerprint."""

    kind: ClassVar[str] = "image"
    stored_as: ClassVar[Mapping[str, str]] = {"array": "rgb"}
    array: NDArray[np.uint8]

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        rgb = stored_array(arrays, "rgb", "iu")
        require_shape(rgb, (*rgb.shape[:2], 3), "rgb")
        if rgb.dtype != np.uint8 or not rgb.size:
            raise WrongValue(f"is an array of {rgb.dtype} and shape {rgb.shape}; expected uint8 pixels", ".rgb")
        return cls(rgb)

    def condensed(self) -> None:
        """A golden stores no images: repositories would grow by 100 KB per case and version."""
        return

    def differences(self, golden: InputImage) -> tuple[Difference, ...]:
        """Never judged."""
        return ()
