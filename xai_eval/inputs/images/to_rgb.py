"""Convert what was opened to RGB: scale deep values, put transparency on white, and say so."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.deep import LEAST_LEVELS, LOW, Deep, read_deep_tiff, to_eight_bits
from xai_eval.inputs.images.essence import Essence
from xai_eval.inputs.images.opened import Opened
from xai_eval.inputs.images.png_file import SIGNATURE
from xai_eval.inputs.images.png_rows import lacks_rows
from xai_eval.inputs.images.ppm_file import read_scaled
from xai_eval.inputs.images.tiff_file import layout

SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GRAYSCALE = {"1": "1-bit", "L": "grayscale", "LA": "grayscale", "La": "grayscale"}
_ROWS = 256
_PREMULTIPLIED = 1
_WHITE = (255, 255, 255, 255)
_ON_WHITE = "transparency composited on white"


def to_rgb(path: Path, opened: Opened) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode an image to RGB, uint8 (h, w, 3), as it is stored; and say what was done to it.

    Raises:
        InputUnavailable: its numbers have no known range, or all become one.
        Exception: what Pillow raises on a damaged file.
    """
    image, essence = opened.image, opened.essence
    if image is None:
        return _deep_tiff(path, essence)
    colours = _colours(image)
    image, notes = read_scaled(path, image, essence.data)
    image.load()
    _check_rows(path, image, opened)
    if image.mode in SIXTEEN_BIT:
        return _gray(path, _sixteen_bit(path, image), essence.transparent)
    if image.mode == "F":
        raise InputUnavailable(
            f"{path} holds floating-point pixels, whose range is unknown; expected 8 or 16 bits per channel. "
            "Save it as an 8-bit PNG."
        )
    notes += _sixteen_bit_colour_notes(path, image, essence) if essence.depth == 16 else []
    if image.mode not in ("RGB", "RGBA", "RGBa"):
        notes.append(f"{_GRAYSCALE.get(image.mode, _kind(image.mode))} converted to RGB")
    if colours is not None and (most := int(image.getextrema()[1])) >= colours:  # type: ignore[arg-type]
        notes.append(f"pixels of colour {most} are black, because the palette has only {colours} colours")
    if not image.has_transparency_data:
        return _in_strips(image, transparent=False), notes
    notes.append(_ON_WHITE)
    if essence.depth == 16 and essence.transparent is not None:
        return _without_colour(image, essence, essence.transparent), notes
    if essence.transparent is not None and essence.depth in (2, 4) and image.mode == "L":
        # Pillow scales grey values of fewer bits to 0..255, but not the one that is transparent.
        image.info["transparency"] = essence.transparent[0] * 255 // (2**essence.depth - 1)
    return _in_strips(image, transparent=True), notes


def _colours(image: Image.Image) -> int | None:
    """Return how many colours the palette of a file has, before Pillow fills it up; None if there is no palette."""
    palette = image.palette if image.mode == "P" else None
    if palette is None:
        return None
    return len(palette.palette) // len((palette.rawmode or palette.mode).split(";")[0])


def _check_rows(path: Path, image: Image.Image, opened: Opened) -> None:
    """Refuse a PNG that ends before its last row; Pillow leaves what is missing black."""
    black = not np.asarray(image.crop((0, image.height - 1, image.width, image.height))).any()
    # An image for Windows is a PNG inside.
    at = opened.essence.data.find(SIGNATURE) if black and opened.format in ("PNG", "ICO") else -1
    if at >= 0 and lacks_rows(opened.essence.data[at:]):
        raise InputUnavailable(f"{path} is truncated or damaged: its last rows are missing. Get the file again.")


def _in_strips(image: Image.Image, *, transparent: bool) -> NDArray[np.uint8]:
    """Convert to RGB a few rows at a time, so that no second copy of a large image is held."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS):
        part = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        if transparent:
            part = part.convert("RGBA")
            part = Image.alpha_composite(Image.new("RGBA", part.size, _WHITE), part)
        pixels[top : top + _ROWS] = np.asarray(part if part.mode == "RGB" else part.convert("RGB"))
    return pixels


def _kind(mode: str) -> str:
    return "palette" if mode in ("P", "PA") else mode


def _sixteen_bit(path: Path, image: Image.Image) -> Deep:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise InputUnavailable(
            f"{path} holds 32-bit values from {values.min()} to {values.max()}; expected 8 or 16 bits per "
            "channel. Save it as an 8-bit PNG."
        )
    return Deep(values, 65535, False, "16-bit grayscale")


def _gray(path: Path, deep: Deep, transparent: tuple[int, ...] | None) -> tuple[NDArray[np.uint8], list[str]]:
    gray, notes = to_eight_bits(path, deep)
    if transparent is not None:
        gray[deep.values == transparent[0]] = 255
        notes.append(_ON_WHITE)
    return np.repeat(gray[:, :, None], 3, axis=2), notes


def _deep_tiff(path: Path, essence: Essence) -> tuple[NDArray[np.uint8], list[str]]:
    assert essence.tags is not None
    shape = layout(essence.tags)
    deep = read_deep_tiff(path, essence, shape)
    if deep.values.ndim == 2:
        return _gray(path, deep, None)
    scaled, notes = to_eight_bits(path, deep)
    colours = 1 if scaled.shape[2] <= 2 else 3
    rgb = np.repeat(scaled[:, :, :1], 3, axis=2) if colours == 1 else scaled[:, :, :3]
    meaning = shape.extra[0] if shape.extra else None
    if scaled.shape[2] == colours or meaning == 0:
        return np.ascontiguousarray(rgb), notes
    stacked = np.ascontiguousarray(np.concatenate([rgb, scaled[:, :, colours : colours + 1]], axis=2))
    height, width = stacked.shape[:2]
    mode = "RGBa" if meaning == _PREMULTIPLIED else "RGBA"
    image = Image.frombuffer(mode, (width, height), stacked.tobytes(), "raw", mode, 0, 1)
    return _in_strips(image, transparent=True), [*notes, _ON_WHITE]


def _sixteen_bit_colour_notes(path: Path, image: Image.Image, essence: Essence) -> list[str]:
    """Say that Pillow takes the upper half of 16 bits, and whether these show anything."""
    bands = image.getextrema()[:3]
    low, high = (int(end(each[place] for each in bands)) for place, end in ((0, min), (1, max)))  # type: ignore[index]
    if high - low < LEAST_LEVELS and (high > low or (image.mode == "RGB" and np.ptp(_lower_half(essence)) > 0)):
        raise InputUnavailable(
            f"{path} holds 16-bit colours from {256 * low} to {256 * high + 255} of 65535, which become the 8-bit "
            f"levels {low} to {high}: nothing could be seen. Scale them to the whole range, save it again."
        )
    notes = ["16-bit colour taken as 8 bit: the upper half of each number"]
    if (high - low) * LOW < 255:
        notes.append(f"its values reach only from {low} to {high} of 255; it was not brightened")
    return notes


def _without_colour(image: Image.Image, essence: Essence, colour: tuple[int, ...]) -> NDArray[np.uint8]:
    """Put the one transparent colour of a 16-bit PNG on white; Pillow compares the upper half only."""
    upper, lower = np.asarray(image.convert("RGB")), _lower_half(essence)
    wanted = np.array(colour, dtype=np.int64)
    there = (upper == wanted >> 8).all(axis=2) & (lower == wanted & 255).all(axis=2)
    return np.where(there[:, :, None], np.uint8(255), upper)


def _lower_half(essence: Essence) -> NDArray[np.uint8]:
    """Return the lower 8 bits of a PNG of 16-bit RGB, (h, w, 3): what Pillow reads if told that these come second."""
    image = Image.open(io.BytesIO(essence.data), formats=("PNG",))
    image.tile = [_with_rawmode(each, "RGB;16L") for each in image.tile]
    return np.asarray(image)


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    """Return a tile of Pillow, a plain tuple before version 11.1, that is decoded in another mode."""
    return type(tile)(*tile[:3], rawmode) if hasattr(tile, "_fields") else (*tile[:3], rawmode)
