"""What is kept of a picture as a model sees it, for all pictures at once: a thumbnail, and its label maps packed."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.inputs.preprocessing import Preprocessing
from xai_eval.inputs.probe_set import ProbeImage

THUMBNAIL = 72  # pixels


@dataclass(frozen=True)
class PackedLabels:
    """Label maps, int32 (S, H, W), compressed."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def pack(cls, labels: NDArray[np.int32]) -> PackedLabels:
        """Compress label maps."""
        return cls(labels.shape, zlib.compress(labels.astype("<i4").tobytes(), 1))

    def unpack(self) -> NDArray[np.int32]:
        """Return the label maps."""
        return np.frombuffer(zlib.decompress(self.data), dtype="<i4").reshape(self.shape).astype(np.int32)


@dataclass(frozen=True)
class SeenPicture:
    """A picture in a model's view.

    Attributes:
        thumbnail: JPEG of `THUMBNAIL` pixels a side, for the eye alone.
        labels: its label maps at full resolution of the view; None where the probe set has none.
    """

    thumbnail: bytes
    labels: PackedLabels | None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The thumbnail, uint8 (THUMBNAIL, THUMBNAIL, 3)."""
        return np.asarray(Image.open(io.BytesIO(self.thumbnail)).convert("RGB"))


def see(preprocess: Preprocessing, image: ProbeImage, picture: Image.Image) -> SeenPicture:
    """Keep of a picture, drawn as `picture`, what is needed after its batch is gone."""
    view = Image.fromarray(preprocess.view(picture)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    view.save(buffer, "jpeg", quality=90, subsampling=0)
    labels = None if image.labels is None else seen_labels(preprocess, image.labels, (picture.height, picture.width))
    return SeenPicture(buffer.getvalue(), None if labels is None else PackedLabels.pack(labels))


def seen_labels(preprocess: Preprocessing, labels: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    """Carry label maps (S, h, w) to a model's view (S, H, W) by nearest neighbour.

    Args:
        preprocess: the model's preparation, which knows how to carry a mask.
        labels: label maps at any resolution of the picture's aspect.
        size: height and width of the picture.
    """
    view = preprocess.mask(np.ones(size, dtype=bool)).shape
    seen = np.zeros((len(labels), *view), dtype=np.int32)
    for drawn, carried in zip(labels, seen, strict=True):
        full = _resized(drawn, size)
        for label in np.flatnonzero(np.bincount(full[full > 0])):
            carried[preprocess.mask(full == label)] = label
    return seen


def _resized(labels: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    if labels.shape == size:
        return labels
    height, width = size
    return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST), dtype=np.int32)
