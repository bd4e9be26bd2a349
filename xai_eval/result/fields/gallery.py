"""Rows of small images, such as the top images of every unit. What they roughly look like is compared."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.typed import WrongValue, entry, wrong
from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Statement, register
from xai_eval.result.fields.stored_arrays import require_shape, stored_array

# Grey levels of 255 by which the quarters of one image may differ: lines drawn into it, and another JPEG, do less.
_ALIKE = 12.0
# The share of the images that may be others: images on which a unit is equally active can replace each other.
_OTHERS = 0.1
_QUARTERS, _NAMED = 4, 3
# A strip is a line of small images. What says otherwise would take the memory of as many as it likes.
_MOST_IMAGES, _MOST_PIXELS = 1_000, 50_000_000
Looks = NDArray[np.uint8]


@register
@dataclass(frozen=True)
class Gallery(Field):
    """Strips of images by name.

    A golden keeps no images, but the mean grey level of the four quarters of each, by which another one is known.

    Attributes:
        strips: one JPEG file per name; compressed, because thousands of units would take too much memory otherwise.
            Empty in a golden.
        images: number of images of equal size side by side in a strip.
        known: grey levels that were kept, uint8 (strips, images, 4); None if they are still to be taken of the strips.
    """

    kind: ClassVar[str] = "gallery"
    strips: Mapping[str, bytes]
    images: int = 1
    known: Looks | None = field(default=None, compare=False)

    @cached_property
    def looks(self) -> Looks:
        """Mean grey levels of the quarters of each image, uint8 (strips, images, 4)."""
        if self.known is not None:
            return self.known
        found = [_looks(each, self.images) for each in self.strips.values()]
        return np.stack(found) if found else np.zeros((0, self.images, _QUARTERS), np.uint8)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All files in one array of bytes, and the length of each; or what was kept of them."""
        if self.known is not None:
            return {"looks": self.known}
        joined = np.frombuffer(b"".join(self.strips.values()), dtype=np.uint8)
        return {"jpeg": joined, "lengths": np.array([len(each) for each in self.strips.values()], dtype=np.int64)}

    def meta(self) -> dict[str, Any]:
        """The names, and the number of images of each strip."""
        return {"names": list(self.strips), "images": self.images}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        names, images = entry(meta, "names", tuple[str, ...]), entry(meta, "images", int, 1)
        if len(set(names)) < len(names):
            raise WrongValue("has two strips of one name; expected different ones", ".names")
        if not 0 <= images <= _MOST_IMAGES:
            raise wrong(images, f"a number from 0 to {_MOST_IMAGES}").below("images")
        if "looks" in arrays:
            looks = stored_array(arrays, "looks", "iu")
            require_shape(looks, (len(names), images, _QUARTERS), "looks")
            if looks.dtype != np.uint8:
                raise WrongValue(f"is an array of {looks.dtype}; expected grey levels, uint8", ".looks")
            return cls(dict.fromkeys(names, b""), images, looks)
        data, lengths = (stored_array(arrays, name, "iu", axes=1) for name in ("jpeg", "lengths"))
        require_shape(lengths, (len(names),), "lengths")
        ends = list(itertools.accumulate(lengths.tolist()))
        if [0, *ends, data.size] != sorted([0, *ends, data.size]) or ends[-1:] not in ([], [data.size]):
            raise WrongValue(f"does not divide {data.size} bytes; expected the length of each strip", ".lengths")
        content = data.tobytes()
        return cls({name: content[a:b] for name, a, b in zip(names, [0, *ends], ends, strict=False)}, images)

    def condensed(self) -> Gallery:
        """Return what the images roughly look like, without them."""
        return self if self.known is not None else Gallery(dict.fromkeys(self.strips, b""), self.images, self.looks)

    def differences(self, golden: Gallery) -> Iterator[Difference]:
        """The share of images that are not in the strip of the same name of the golden, in any place of it."""
        if list(self.strips) != list(golden.strips) or self.images != golden.images:
            was, now = (f"{len(each.strips)} strips of {each.images} images" for each in (golden, self))
            sentence = f"{was} became {now}, or their names changed"
            yield Difference("images", float("inf"), 0.0, [Statement(Severity.NUMBERS, "strips", sentence)])
            return
        apart = self.looks[:, :, None].astype(float) - golden.looks[:, None].astype(float)
        other = ~(np.abs(apart).max(axis=-1) <= _ALIKE).any(axis=2)
        share = float(other.mean()) if other.size else 0.0
        yield Difference("images", share, _OTHERS, self._statements(other, share))

    def _statements(self, other: NDArray[np.bool_], share: float) -> Iterator[Statement]:
        named = [name for name, strip in zip(self.strips, other, strict=True) if strip.any()]
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        sentence = (
            f"{int(other.sum())} of {other.size} images are others than those of the golden (at most {_OTHERS:.0%} may "
            f"be), in {', '.join(named[:_NAMED])}{more}"
        )
        yield Statement(Severity.NUMBERS, "images", sentence, share, _OTHERS)


def _looks(jpeg: bytes, images: int) -> Looks:
    """Return the mean grey levels of the quarters of each image, (images, 4); 0 for what is no strip of images."""
    from PIL import Image, UnidentifiedImageError

    found = np.zeros((images, 2, 2))
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return found.reshape(images, _QUARTERS).astype(np.uint8)
            opened.draft(
                "L", (opened.width // 2, opened.height // 2)
            )  # half the size is decoded in a third of the time
            grey = np.asarray(opened.convert("L"), dtype=np.float64)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return found.reshape(images, _QUARTERS).astype(np.uint8)
    for place, image in enumerate(np.array_split(grey, images, axis=1)):
        for row, half in enumerate(np.array_split(image, 2, axis=0)):
            found[place, row] = [part.mean() if part.size else 0.0 for part in np.array_split(half, 2, axis=1)]
    return np.round(found).astype(np.uint8).reshape(images, _QUARTERS)
