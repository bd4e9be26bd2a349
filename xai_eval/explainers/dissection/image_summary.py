"""What is kept of an image as a model sees it, for all images at once: a thumbnail, and its label maps packed."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xai_eval.inputs.models.preprocessing import Preprocessing
from xai_eval.inputs.probes.probe_set import ProbeImage

THUMBNAIL = 72  # pixels
_GRID = 4


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
class Trace:
    """What remains of an image and of the tensor that was made of it, to tell later whether either changed.

    Attributes:
        pixels: SHA-256 over the decoded pixels, 32 bytes.
        tensor: means of the tensor (3, H, W) over a grid of 4 x 4, then the deviation of each channel, float32 (51,).
    """

    pixels: bytes
    tensor: NDArray[np.float32]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], tensor: torch.Tensor) -> Trace:
        """Take the trace of an image, uint8 (h, w, 3), and of its tensor (3, H, W)."""
        values = tensor.detach().float().cpu()
        means = torch.nn.functional.adaptive_avg_pool2d(values, _GRID).flatten()
        deviations = values.flatten(1).std(dim=1)
        digest = hashlib.sha256(pixels.tobytes()).digest()
        return cls(digest, torch.cat([means, deviations]).numpy())

    def pack(self) -> bytes:
        """Return the bytes that `unpack` takes."""
        return self.pixels + self.tensor.astype("<f4").tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Trace:
        """Undo `pack`."""
        size = hashlib.sha256().digest_size
        return cls(data[:size], np.frombuffer(data[size:], dtype="<f4").astype(np.float32))


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """An image in a model's view.

    Attributes:
        trace: of its pixels and of its tensor.
        thumbnail: JPEG of `THUMBNAIL` pixels a side, for the eye alone.
        labels: its label maps at full resolution of the view; None where the probe set has none.
    """

    trace: Trace
    thumbnail: bytes
    labels: PackedLabels | None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The thumbnail, uint8 (THUMBNAIL, THUMBNAIL, 3)."""
        return np.asarray(Image.open(io.BytesIO(self.thumbnail)).convert("RGB"))


def summarise(preprocess: Preprocessing, image: ProbeImage, drawn: Image.Image, tensor: torch.Tensor) -> ImageSummary:
    """Keep of an image, drawn as `drawn` and prepared as `tensor`, what is needed after its batch is gone."""
    view = Image.fromarray(preprocess.view(drawn)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    view.save(buffer, "jpeg", quality=90, subsampling=0)
    labels = None if image.labels is None else labels_in_view(preprocess, image.labels, (drawn.height, drawn.width))
    packed = None if labels is None else PackedLabels.pack(labels)
    return ImageSummary(Trace.of(image.pixels, tensor), buffer.getvalue(), packed)


def labels_in_view(preprocess: Preprocessing, labels: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    """Carry label maps (S, h, w) to a model's view (S, H, W) by nearest neighbour.

    Args:
        preprocess: the model's preparation, which knows how to carry a mask.
        labels: label maps at any resolution of the image's aspect.
        size: height and width of the image.
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
