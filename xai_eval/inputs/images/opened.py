"""Open an image file: find out what it is by its own bytes, and refuse what would cost too much."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import LIBRARIES, check_memory, check_size, pixel_cost
from xai_eval.inputs.images.deep import is_deep
from xai_eval.inputs.images.essence import Essence, orientation_of
from xai_eval.inputs.images.gif_file import gif_essence
from xai_eval.inputs.images.headers import check_header
from xai_eval.inputs.images.image_bytes import image_bytes
from xai_eval.inputs.images.jpeg2000_file import SIGNATURES as JPEG2000
from xai_eval.inputs.images.jpeg2000_file import jpeg2000_essence
from xai_eval.inputs.images.jpeg_file import SIGNATURE as JPEG
from xai_eval.inputs.images.jpeg_file import jpeg_essence
from xai_eval.inputs.images.orientation import UPRIGHT
from xai_eval.inputs.images.own_settings import own_settings
from xai_eval.inputs.images.png_file import SIGNATURE as PNG
from xai_eval.inputs.images.png_file import png_essence
from xai_eval.inputs.images.raster_formats import known_formats
from xai_eval.inputs.images.tiff_file import SIGNATURES as TIFF
from xai_eval.inputs.images.tiff_file import layout, tiff_essence

TAKEN_APART = ("JPEG", "PNG", "GIF", "TIFF")


@dataclass(frozen=True)
class Opened:
    """An image file of which only the header has been read.

    Attributes:
        size: of the file in bytes.
        sha256: SHA-256 of its bytes.
        format: as Pillow names it; "MPO" and the like are "JPEG".
        essence: what of it decides pixels.
        image: Pillow's image of that; None for a TIFF that Pillow would not read as it is meant.
        orientation: how a viewer turns the stored pixels.
    """

    size: int
    sha256: str
    format: str
    essence: Essence
    image: Image.Image | None
    orientation: int


def open_image(path: Path) -> Opened:
    """Open an image file; only its header is read.

    Raises:
        InputUnavailable: the file is missing, empty or not an image, or its header has a size that `decode` refuses.
    """
    data = image_bytes(path)
    with _header(path):
        kind, essence = _essence(path, data)
        check_header(path, data)
    shape = None if essence.tags is None else layout(essence.tags)
    if shape is not None and is_deep(shape):
        check_memory(path, len(data), shape.width, shape.height, pixel_cost("I;16", 2 * essence.library))
        image, exif = None, b""
    else:
        image = _open(path, data, kind, essence)
        exif = image.info.get("exif", b"")
    orientation = essence.orientation if essence.orientation != UPRIGHT else orientation_of(exif)
    digest = hashlib.sha256(data).hexdigest()
    return Opened(len(data), digest, kind or str(image and image.format), essence, image, orientation)


@contextmanager
def _header(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, OverflowError, struct.error) as error:  # the file ends before what it claims
        raise InputUnavailable(f"{path} has a damaged header ({error}). Get the file again.") from error


def _essence(path: Path, data: bytes) -> tuple[str, Essence]:
    """Return the format that the first bytes tell, "" for one that is not taken apart, and what decides its pixels."""
    if data.startswith(JPEG):
        return "JPEG", jpeg_essence(path, data)
    if data.startswith(PNG):
        return "PNG", png_essence(path, data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF", gif_essence(data)
    if data.startswith(TIFF):
        return "TIFF", tiff_essence(path, data)
    if data.startswith(JPEG2000):
        return "JPEG2000", jpeg2000_essence(path, data)
    return "", Essence(data)


def _open(path: Path, data: bytes, kind: str, essence: Essence) -> Image.Image:
    # A format that is taken apart is opened only as such: its other beginnings, which Pillow forgives, are not.
    formats = (kind,) if kind else tuple(each for each in known_formats() if each not in TAKEN_APART)
    try:
        # Pillow warns already about images that this module accepts, and about what it then raises an error for.
        with own_settings():
            image = Image.open(io.BytesIO(essence.data), formats=formats)
    except Image.DecompressionBombError as error:
        raise InputUnavailable(
            f"{path} has more pixels than Pillow accepts ({error}); expected at most 100 megapixels. Scale it down."
        ) from error
    except UnidentifiedImageError as error:
        raise InputUnavailable(
            f"{path} is not an image that Pillow can read ({len(data)} bytes, starting with {data[:8]!r}). "
            "Expected JPEG, PNG or another common format; check the file."
        ) from error
    except Exception as error:
        raise InputUnavailable(f"{path} has a damaged header ({error}). Get the file again.") from error
    check_size(path, *image.size)
    library = essence.library + LIBRARIES.get(str(image.format), 0)
    check_memory(path, len(data), *image.size, pixel_cost(image.mode, library))
    return image
