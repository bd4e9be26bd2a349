"""Keep a summary of each image of a probe set: a thumbnail, compressed label maps, and a trace of its pixels.

The summaries of all images are in memory at once, so they are small.
"""

from __future__ import annotations

import hashlib
import io
import math
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import StorageError
from xai_eval.inputs.models.preprocessing import CarriesLabels, Preprocessing
from xai_eval.inputs.probes.probe_set import ProbeImage

THUMBNAIL = 72  # side of a thumbnail in pixels
LABEL_WIDTHS = (1, 2, 4)
_GRID = 4


@dataclass(frozen=True)
class PackedLabels:
    """Label maps, int32 (S, H, W), compressed.

    Attributes:
        shape: S, H and W.
        data: what zlib made of them.
        width: bytes per label: 1, 2 or 4.
    """

    shape: tuple[int, ...]
    data: bytes
    width: int

    @classmethod
    def pack(cls, labels: NDArray[np.int32]) -> PackedLabels:
        """Compress label maps (S, H, W)."""
        # To unpack four bytes takes four times as long, and it is done once for each layer and shuffle.
        most = int(labels.max(initial=0))
        width = next(each for each in LABEL_WIDTHS if each == LABEL_WIDTHS[-1] or most < 256**each)
        return cls(labels.shape, zlib.compress(labels.astype(f"<u{width}").tobytes(), 1), width)

    def unpack(self) -> NDArray[np.int32]:
        """Return the label maps, int32 (S, H, W)."""
        size = self.width * math.prod(self.shape)
        # A checkpoint may be damaged: no more is unpacked than its shape says.
        try:
            content = zlib.decompressobj().decompress(self.data, size + 1)
        except zlib.error as error:
            raise _damaged("a label map") from error
        if len(content) != size:
            raise _damaged("a label map")
        return np.frombuffer(content, dtype=f"<u{self.width}").reshape(self.shape).astype(np.int32)


@dataclass(frozen=True)
class Trace:
    """Short numbers by which to tell later whether an image, or the tensor prepared from it, has changed.

    Attributes:
        pixels: SHA-256 over the decoded pixels, 32 bytes.
        tensor: for each of 3 channels, 16 means over a 4 x 4 grid; then the standard deviation of each channel: float32
            (51,).
    """

    pixels: bytes
    tensor: NDArray[np.float32]

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], tensor: torch.Tensor) -> Trace:
        """Compute the trace of an image, uint8 (h, w, 3), and of its prepared tensor (3, H, W)."""
        values = tensor.detach().float().cpu()
        means = torch.nn.functional.adaptive_avg_pool2d(values, _GRID).flatten()
        deviations = values.flatten(1).std(dim=1)
        digest = hashlib.sha256(np.ascontiguousarray(pixels).reshape(-1).data).digest()
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
    """What is kept of an image as a model sees it, that is, after resizing and cropping.

    Attributes:
        trace: of its pixels and of its tensor.
        thumbnail: JPEG of 72 x 72 pixels, used only for display.
        labels: its label maps at the resolution of the model's input; None if the probe set has none.
    """

    trace: Trace
    thumbnail: bytes
    labels: PackedLabels | None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The thumbnail, uint8 (THUMBNAIL, THUMBNAIL, 3)."""
        try:
            with Image.open(io.BytesIO(self.thumbnail), formats=["JPEG"]) as image:
                if image.size != (THUMBNAIL, THUMBNAIL):
                    raise _damaged("a thumbnail")
                return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError) as error:
            raise _damaged("a thumbnail") from error


def _damaged(what: str) -> StorageError:
    return StorageError(
        f"{what} in a checkpoint of this dissection is damaged. Delete the folder dissection in the cache folder of "
        "xai_eval, and run again."
    )


def summarise(preprocess: Preprocessing, image: ProbeImage, drawn: Image.Image, tensor: torch.Tensor) -> ImageSummary:
    """Summarise an image.

    Args:
        preprocess: the preparation of the model.
        image: the image with its label maps.
        drawn: the same image for Pillow.
        tensor: the prepared image, (3, H, W).
    """
    view = Image.fromarray(preprocess.view(drawn)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    view.save(buffer, "jpeg", quality=90, subsampling=0)
    labels = None if image.labels is None else labels_in_view(preprocess, image.labels, (drawn.height, drawn.width))
    packed = None if labels is None else PackedLabels.pack(labels)
    return ImageSummary(Trace.of(image.pixels, tensor), buffer.getvalue(), packed)


def labels_in_view(preprocess: Preprocessing, labels: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    """Resize and crop label maps (S, h, w) like the image, by nearest neighbour; return int32 (S, H, W).

    Args:
        preprocess: the preparation of the model, which can resize and crop a mask.
        labels: label maps at any resolution with the aspect ratio of the image.
        size: height and width of the image.
    """
    whole = [_resized(drawn, size) for drawn in labels]
    if whole and isinstance(preprocess, CarriesLabels):
        return np.stack([preprocess.labels(full) for full in whole])
    view = preprocess.mask(np.ones(size, dtype=bool)).shape
    in_view = np.zeros((len(labels), *view), dtype=np.int32)
    for full, carried in zip(whole, in_view, strict=True):
        for label in np.flatnonzero(np.bincount(full[full > 0])):
            carried[preprocess.mask(full == label)] = label
    return in_view


def _resized(labels: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    if labels.shape == size:
        return labels
    height, width = size
    return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST), dtype=np.int32)
