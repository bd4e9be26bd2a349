"""The image as the model saw it: for the eye, never judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Finding, Shift


@dataclass(frozen=True)
class InputImage:
    """RGB image, uint8 of shape (h, w, 3). A golden does not keep it: stages hold its fingerprint."""

    kind: ClassVar[str] = "image"
    array: NDArray[np.uint8]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The pixels."""
        return {"rgb": self.array}

    def meta(self) -> dict[str, Any]:
        """Nothing else."""
        return {}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        return cls(arrays["rgb"])

    def condensed(self) -> None:
        """A golden keeps no images: repositories would grow by 100 KB a case and version."""
        return

    def compare(self, golden: InputImage, name: str) -> tuple[Finding, ...]:
        """Never judged."""
        return ()

    def distances(self, other: InputImage) -> tuple[Distance, ...]:
        """Never judged."""
        return ()

    def shifts(self, golden: InputImage) -> tuple[Shift, ...]:
        """Never judged."""
        return ()
