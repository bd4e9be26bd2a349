"""Decode an image file to RGB pixels, as torchvision's `ImageFolder` would.

`ImageFolder` opens the file with Pillow and converts it to RGB; it does not apply EXIF rotation. Two of Pillow's
conversions would spoil the image: 16-bit values are clipped to 8 bits, and transparent pixels get whatever colour is
stored beneath. This module scales the values and puts the image on white instead, and says so in a note.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from xai_eval.disk.door import read_bytes
from xai_eval.disk.git_lfs import is_pointer, pointer_sentence
from xai_eval.errors import InputUnavailable

SMALLEST_SIDE = 16
LARGEST_AREA = 100_000_000
# Models resize the shorter side to a few hundred pixels and keep the ratio, so a narrow strip becomes huge. With this
# ratio it becomes at most 512 x 51,200, well below the largest area.
LARGEST_RATIO = 100

_ORIENTATION = 0x0112
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GRAYSCALE = {"1": "1-bit", "L": "grayscale", "LA": "grayscale", "La": "grayscale"}


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: uint8 (h, w, 3), RGB.
        notes: what was done to the image besides decoding, one sentence each.
        sha256: SHA-256 of the bytes of the file.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    sha256: str


def decode(path: Path) -> Decoded:
    """Decode an image file to RGB.

    Raises:
        InputUnavailable: the file is missing, empty, truncated, a Git LFS pointer or not an image; a side is shorter
            than 16 px; it has more than 100 megapixels; or one side is more than 100 times as long as the other. Sizes
            are read from the header, before anything is decoded.
    """
    data, image = open_image(path)
    with decoding(path):
        notes = [*_frame_notes(image), *_orientation_notes(image)]
        image.load()
        pixels, conversion = _to_rgb(path, image)
    return Decoded(pixels, (*notes, *conversion), hashlib.sha256(data).hexdigest())


def open_image(path: Path) -> tuple[bytes, Image.Image]:
    """Return the bytes of an image file, and Pillow's image, of which only the header has been read.

    Raises:
        InputUnavailable: the file is missing, empty or not an image, or its header has a size that `decode` refuses.
    """
    data = _read(path)
    with warnings.catch_warnings():
        # Pillow warns already about images that this module accepts.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = _open(path, data)
    _check_size(path, image)
    return data, image


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Raise InputUnavailable if Pillow fails to decode the file inside the context."""
    try:
        yield
    except InputUnavailable:
        raise
    # On damaged files Pillow raises many kinds of errors, even TypeError.
    except Exception as error:
        raise InputUnavailable(
            f"{path} is truncated or damaged: Pillow decodes only a part of it ({error}). Get the file again."
        ) from error


def _read(path: Path) -> bytes:
    try:
        data = read_bytes(path, follow=True)
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputUnavailable(f"{path} {reason}; expected an image file. Check the path.") from error
    if not data:
        raise InputUnavailable(f"{path} is empty (0 bytes); expected an image. Get the file again.")
    if is_pointer(data):
        raise InputUnavailable(pointer_sentence(path))
    return data


def _open(path: Path, data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise _too_large(path, f"more pixels than Pillow accepts ({error})") from error
    except UnidentifiedImageError as error:
        raise InputUnavailable(
            f"{path} is not an image that Pillow can read ({len(data)} bytes, starting with {data[:8]!r}). "
            "Expected JPEG, PNG or another common format; check the file."
        ) from error
    except Exception as error:
        raise InputUnavailable(f"{path} has a damaged header ({error}). Get the file again.") from error


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST_AREA:
        raise _too_large(path, f"{width} x {height} pixels")
    if min(width, height) < SMALLEST_SIDE:
        raise InputUnavailable(
            f"{path} is {width} x {height} pixels; expected at least {SMALLEST_SIDE} on each side, because a "
            "smaller image shows nothing that could be explained. Use a larger image."
        )
    if max(width, height) > LARGEST_RATIO * min(width, height):
        raise InputUnavailable(
            f"{path} is {width} x {height} pixels; expected one side at most {LARGEST_RATIO} times as long as the "
            "other, because resizing the shorter side to what a model takes would blow up the longer. Crop it first."
        )


def _too_large(path: Path, size: str) -> InputUnavailable:
    return InputUnavailable(
        f"{path} has {size}; expected at most {LARGEST_AREA // 1_000_000} megapixels. "
        "Scale it down first; models see a few hundred pixels per side."
    )


def _frame_notes(image: Image.Image) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    return [f"first of {frames} frames taken"] if frames > 1 else []


def _orientation_notes(image: Image.Image) -> list[str]:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # An image with damaged EXIF data is accepted, because its pixels can still be read.
        return []
    if orientation in (0, 1):
        return []
    return [f"EXIF orientation {orientation} not applied, as in torchvision's ImageFolder"]


def _to_rgb(path: Path, image: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    if image.mode in SIXTEEN_BIT:
        return _scale_down(path, image), ["16-bit grayscale scaled to 8 bit and converted to RGB"]
    if image.mode == "F":
        raise InputUnavailable(
            f"{path} holds floating-point pixels, whose range is unknown; expected 8 or 16 bits per channel. "
            "Save it as an 8-bit PNG."
        )
    notes = []
    if image.mode != "RGB" and image.mode not in ("RGBA", "RGBa"):
        notes.append(f"{_GRAYSCALE.get(image.mode, _kind(image.mode))} converted to RGB")
    if image.has_transparency_data:
        notes.append("transparency composited on white")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"), dtype=np.uint8), notes


def _kind(mode: str) -> str:
    return "palette" if mode in ("P", "PA") else mode


def _scale_down(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InputUnavailable(
            f"{path} holds 32-bit values from {values.min()} to {values.max()}; expected 8 or 16 bits per "
            "channel. Save it as an 8-bit PNG."
        )
    gray = ((values + 128) // 257).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)
