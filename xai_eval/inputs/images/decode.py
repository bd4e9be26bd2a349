"""From the bytes of an image file to RGB pixels, as torchvision's `ImageFolder` would read them.

`ImageFolder` opens with Pillow and converts to RGB: EXIF rotation is not applied. Where that conversion would
lose the image (16 bits clipped, alpha dropped to whatever colour lies beneath), this module does better and
says so in a note.
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

from xai_eval.errors import InputUnavailable

SMALLEST_SIDE = 16
LARGEST_AREA = 100_000_000
# Models resize the shorter side to a few hundred pixels and keep the ratio, so that a narrow strip becomes huge. With
# this ratio it becomes 512 x 51,200, well within the largest area.
LARGEST_RATIO = 100

_ORIENTATION = 0x0112
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GRAYSCALE = {"1": "1-bit", "L": "grayscale", "LA": "grayscale", "La": "grayscale"}


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes:
        pixels: uint8 (h, w, 3), RGB.
        notes: what had to be done to the image to get there.
        sha256: digest of the file's bytes.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    sha256: str


def decode(path: Path) -> Decoded:
    """Decode an image file to RGB.

    Raises:
        InputUnavailable: the file is missing, empty, no image, truncated, smaller than 16 px on a side, or
            larger than 100 megapixels, or a strip of more than 100 to 1 (known from its header, before anything is
            decoded).
    """
    data, image = open_image(path)
    with decoding(path):
        notes = [*_frame_notes(image), *_orientation_notes(image)]
        image.load()
        pixels, conversion = _to_rgb(path, image)
    return Decoded(pixels, (*notes, *conversion), hashlib.sha256(data).hexdigest())


def open_image(path: Path) -> tuple[bytes, Image.Image]:
    """Return the bytes of an image file, and the image with nothing but its header read.

    Raises:
        InputUnavailable: the file is missing, empty or no image, or its header tells a size that `decode` refuses.
    """
    data = _read(path)
    with warnings.catch_warnings():
        # Pillow warns about images that are still within the limit of this module.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = _open(path, data)
    _check_size(path, image)
    return data, image


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn what Pillow raises while it decodes a damaged file into InputUnavailable."""
    try:
        yield
    except InputUnavailable:
        raise
    # On damaged files Pillow's readers raise whatever their parsing runs into, TypeError included.
    except Exception as error:
        raise InputUnavailable(
            f"{path} is truncated or damaged: Pillow decodes only a part of it ({error}). Get the file again."
        ) from error


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputUnavailable(f"{path} {reason}; expected an image file. Check the path.") from error
    if not data:
        raise InputUnavailable(f"{path} is empty (0 bytes); expected an image. Get the file again.")
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
        "Scale it down first; models see a few hundred pixels a side."
    )


def _frame_notes(image: Image.Image) -> list[str]:
    frames = getattr(image, "n_frames", 1)
    return [f"first of {frames} frames taken"] if frames > 1 else []


def _orientation_notes(image: Image.Image) -> list[str]:
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # Damaged EXIF data is no reason to refuse an image whose pixels are whole.
        return []
    if orientation in (0, 1):
        return []
    return [f"EXIF orientation {orientation} not applied, as in torchvision's ImageFolder"]


def _to_rgb(path: Path, image: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    if image.mode in SIXTEEN_BIT:
        return _scale_down(path, image), ["16-bit grayscale scaled to 8 bit and converted to RGB"]
    if image.mode == "F":
        raise InputUnavailable(
            f"{path} holds floating-point pixels, whose range is unknown; expected 8 or 16 bits a channel. "
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
            f"{path} holds 32-bit values from {values.min()} to {values.max()}; expected 8 or 16 bits a "
            "channel. Save it as an 8-bit PNG."
        )
    gray = ((values + 128) // 257).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)
