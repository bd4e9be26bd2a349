"""Rows of small images, such as the top images of every unit: only for display, never judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Difference, Field, register


@register
@dataclass(frozen=True)
class Gallery(Field):
    """Strips of images by name.

    Attributes:
        strips: one JPEG file per name; compressed, because thousands of units would take too much memory otherwise.
    """

    kind: ClassVar[str] = "gallery"
    strips: Mapping[str, bytes]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All files in one array of bytes, and the length of each."""
        joined = np.frombuffer(b"".join(self.strips.values()), dtype=np.uint8)
        return {"jpeg": joined, "lengths": np.array([len(each) for each in self.strips.values()], dtype=np.int64)}

    def meta(self) -> dict[str, Any]:
        """The names."""
        return {"names": list(self.strips)}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        data, ends = arrays["jpeg"].tobytes(), np.cumsum(arrays["lengths"]).tolist()
        starts = [0, *ends[:-1]] if ends else []
        return cls({name: data[a:b] for name, a, b in zip(meta["names"], starts, ends, strict=True)})

    def condensed(self) -> None:
        """A golden keeps no images."""
        return

    def differences(self, golden: Gallery) -> tuple[Difference, ...]:
        """Never judged."""
        return ()
