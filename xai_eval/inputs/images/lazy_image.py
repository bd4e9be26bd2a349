"""Images that are read when they are asked for, so that memory does not grow with their number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.inputs.images.labelled import Intended, LabelledImage


@dataclass(frozen=True, eq=False)
class Content:
    """The large parts of an image: pixels, uint8 (h, w, 3); mask and concepts, bool (h, w), as in `LabelledImage`."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None
    concepts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


# Images of more pixels are not read ahead, so that memory stays that of one large image.
LARGEST_AHEAD = 16_000_000


class LazyImage(LabelledImage):
    """An image that keeps no pixels. They are read when they are asked for, and released when another image is read.

    Args:
        read: reads the image. It raises InputUnavailable if that is not possible, or if the image has changed.
        area: number of its pixels.
        mask_digest: as in `LabelledImage`, so that no image is read for it.
        name, digest, intended, notes, source: as in `LabelledImage`.
    """

    def __new__(cls, *_: object, **given: Any) -> LabelledImage:  # type: ignore[misc]  # the copy is no `LazyImage`
        """Make an image in memory of all fields, pixels too, as `dataclasses.replace` gives them for a changed copy."""
        return LabelledImage(**given) if "pixels" in given else super().__new__(cls)

    def __init__(
        self,
        read: Callable[[], Content],
        area: int,
        *,
        name: str,
        digest: str,
        mask_digest: str = "",
        intended: Intended | None = None,
        notes: tuple[str, ...] = (),
        source: str = "",
    ) -> None:
        known = {"name": name, "digest": digest, "intended": intended, "notes": notes, "source": source}
        for attribute, value in {"read": read, "area": area, "mask_digest": mask_digest, **known}.items():
            object.__setattr__(self, attribute, value)

    read: Callable[[], Content]
    area: int

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels, uint8 (h, w, 3), RGB."""
        return _content(self).pixels

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """True on the intended object, bool (h, w); None if unknown."""
        return _content(self).mask

    @property
    def concepts(self) -> Mapping[str, NDArray[np.bool_]]:
        """By name of everything that is known to be visible: where it is, bool (h, w)."""
        return _content(self).concepts


def read_ahead(image: LabelledImage) -> LabelledImage | None:
    """Return an image with its pixels, and their fingerprint, in memory, for a thread that reads beside the others.

    None if it is too large to be in memory beside others: then it has to be read when it is needed.

    Raises:
        InputUnavailable: it cannot be read, or has changed.
    """
    if not isinstance(image, LazyImage):
        return image
    if image.area > LARGEST_AHEAD:
        return None
    content = image.read()
    known = (image.name, content.pixels, image.digest, image.intended, content.mask, image.notes, image.source)
    read = LabelledImage(*known, content.concepts)
    _ = read.fingerprint
    return read


class _Last:
    """The image that was read last. It is let go before another one is read, so that no two are in memory."""

    def __init__(self) -> None:
        self._held: tuple[LazyImage, Content] | None = None
        self._alone = threading.RLock()

    def content(self, image: LazyImage) -> Content:
        with self._alone:
            if self._held is None or self._held[0] is not image:
                self._held = None
                self._held = image, image.read()
            return self._held[1]


# A task asks several times for the pixels of the image that it explains, and then never again.
_content = _Last().content
