"""Pixels of the report: maps over photographs, outlines, differences. Arrays in, uint8 RGB out."""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.report.drawing.map_colours import heat_colours, signed_colours

Pixels = NDArray[np.uint8]
Map = NDArray[np.floating[Any]]

# White at 0 and darker on both sides: for what lies over no image.
_DIVERGING = "RdBu_r"
_MIDDLE_GREY = 150
_SCALE_ROWS = 16
_OUTLINE = (0, 255, 255)
_BORDER = (255, 230, 0)
_SHADE = 0.75  # borders show on bright images too
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def overlay(image: Pixels | None, saliency: Map) -> Pixels:
    """Draw a map (h, w) in [0, 1] over an image (h, w, 3): the hotter, the lighter, on every pixel of any image.

    The image is turned grey and dimmed, so that only heat has colour and light: a red fish must not look hot. Cold
    places show the dimmed image alone. Without an image, the map is drawn over middle grey.
    """
    return heat_colours(saliency, _grey(image) if image is not None else np.full(saliency.shape, _MIDDLE_GREY))


def heat_legend() -> Pixels:
    """The colours of `overlay` from 0 to 1 over middle grey, shape (1, 256, 3)."""
    return overlay(None, np.linspace(0.0, 1.0, 256)[None])


def heat_scale() -> Pixels:
    """The same over any grey, from white in the first row to black in the last, (16, 256, 3)."""
    return heat_colours(*_scale_axes(0.0))


def grey(shape: tuple[int, ...]) -> Pixels:
    """Middle grey (h, w, 3), for what has no image to lie over; `shape` is (h, w)."""
    return np.full((*shape, 3), _MIDDLE_GREY, np.uint8)


def diverging(difference: Map, limit: float) -> Pixels:
    """Draw a signed difference (h, w): white for 0, red up to +`limit`, blue down to -`limit`."""
    return _to_bytes(_colours(_DIVERGING, difference / (2.0 * limit) + 0.5))


def diverging_legend() -> Pixels:
    """The colours of `diverging` from -limit to +limit, shape (1, 256, 3)."""
    return diverging(np.linspace(-1.0, 1.0, 256)[None], 1.0)


def enlarge(saliency: Map, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a map to `shape` (h, w) with bilinear interpolation."""
    source = Image.fromarray(np.ascontiguousarray(saliency, dtype=np.float32))
    return np.asarray(source.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), dtype=np.float32)


def outline(image: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """Draw the border of a mask (h, w): a bright line within, a dark one around, to show on any image."""
    drawn = image.copy()
    padded = np.pad(mask, 2)
    drawn[_neighbours(mask) & ~mask] = 0
    drawn[mask & _neighbours(_neighbours(~padded))[2:-2, 2:-2]] = _OUTLINE
    return drawn


def boundaries(image: Pixels, segments: NDArray[np.integer[Any]]) -> Pixels:
    """Draw the borders between superpixels (h, w): yellow on an image that is darkened a little."""
    drawn = (image * _SHADE).astype(np.uint8)
    border = np.zeros(segments.shape, dtype=bool)
    border[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    border[1:] |= segments[1:] != segments[:-1]
    drawn[border] = _BORDER
    return drawn


def signed(image: Pixels | None, values: Map, limit: float) -> Pixels:
    """Draw signed values (h, w) over a dimmed grey image: red up to +`limit`, blue down to -`limit`, nothing at 0.

    The larger an absolute value, the lighter it is, on every pixel of any image.
    """
    below = _grey(image) if image is not None else np.full(values.shape, _MIDDLE_GREY)
    return signed_colours(values / limit, below)


def signed_legend() -> Pixels:
    """The colours of `signed` from -limit to +limit over middle grey, shape (1, 256, 3)."""
    return signed(None, np.linspace(-1.0, 1.0, 256)[None], 1.0)


def signed_scale() -> Pixels:
    """The same over any grey, from white in the first row to black in the last, (16, 256, 3)."""
    return signed_colours(*_scale_axes(-1.0))


def jpeg_uri(pixels: Pixels) -> str:
    """Encode as a data URI; for photographs."""
    return data_uri(jpeg_bytes(pixels), "jpeg")


def jpeg_bytes(pixels: Pixels) -> bytes:
    """Encode as a JPEG file, in full colour resolution because colours have a meaning."""
    return _encoded(pixels, "jpeg", quality=85, subsampling=0)


def webp_uri(pixels: Pixels) -> str:
    """Encode as a data URI, in two thirds of the bytes of a JPEG; for small images, of which a page has thousands."""
    return data_uri(_encoded(pixels, "webp", quality=75), "webp")


def png_uri(pixels: Pixels) -> str:
    """Encode as a data URI without loss; for flat colours."""
    return data_uri(png_bytes(pixels), "png")


def png_bytes(pixels: Pixels) -> bytes:
    """Encode as a PNG file."""
    return _encoded(pixels, "png", optimize=True)


def data_uri(data: bytes, kind: str) -> str:
    """Return an encoded image of a kind, such as `jpeg`, as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(pixels: Pixels, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def _colours(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(_table(name)[np.clip(np.rint(values * 255.0), 0, 255).astype(np.intp)])


@functools.cache
def _table(name: str) -> NDArray[np.float64]:
    return np.asarray(matplotlib.colormaps[name](np.arange(256))[:, :3] * 255.0)


def _grey(image: Pixels) -> NDArray[np.float64]:
    return np.asarray(image @ np.array(_LUMINANCE))


def _scale_axes(least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values from `least` to 1 by column, and grey levels from white to black by row."""
    values, grey = np.meshgrid(np.linspace(least, 1.0, 256), np.linspace(255.0, 0.0, _SCALE_ROWS))
    return values, grey


def _neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with at least one of their four neighbours in the mask."""
    padded = np.pad(mask, 1)
    return np.asarray(padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:])


def _to_bytes(values: NDArray[np.float64]) -> Pixels:
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)
