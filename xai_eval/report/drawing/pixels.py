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

Pixels = NDArray[np.uint8]
Map = NDArray[np.floating[Any]]

# Its brightness grows evenly with the value, and the colour-blind can read it.
_HEAT = "plasma"
_DIVERGING = "RdBu_r"
_STRONGEST = 0.85  # opacity of the hottest place: the photograph stays visible everywhere
_LEGEND_GREY = 150
_OUTLINE = (0, 255, 255)
_BORDER = (255, 230, 0)
_SHADE = 0.75  # borders show on bright images too
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def overlay(image: Pixels | None, saliency: Map) -> Pixels:
    """Draw a map (h, w) in [0, 1] over an image (h, w, 3); cold places show the image.

    The image is turned grey, so that only heat has colour: a red fish must not look hot. Without an image, the map is
    drawn over the middle grey of `heat_legend`.
    """
    values = np.clip(saliency, 0.0, 1.0).astype(np.float64)
    below = _grey(image) if image is not None else np.full((*values.shape, 3), _LEGEND_GREY, np.float64)
    return _to_bytes(_blend(below, _colours(_HEAT, values), values))


def heat_legend() -> Pixels:
    """The colours of `overlay` from 0 to 1 over a middle grey, shape (1, 256, 3)."""
    return overlay(None, np.linspace(0.0, 1.0, 256)[None])


def grey(shape: tuple[int, ...]) -> Pixels:
    """Middle grey (h, w, 3), for what has no image to lie over; `shape` is (h, w)."""
    return np.full((*shape, 3), _LEGEND_GREY, np.uint8)


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
    """Draw signed values (h, w) over a grey image: red up to +`limit`, blue down to -`limit`, nothing at 0."""
    strength = np.clip(np.abs(values) / limit, 0.0, 1.0).astype(np.float64)
    below = _grey(image) if image is not None else np.full((*values.shape, 3), _LEGEND_GREY, np.float64)
    return _to_bytes(_blend(below, _colours(_DIVERGING, values / (2.0 * limit) + 0.5), strength))


def signed_legend() -> Pixels:
    """The colours of `signed` from -limit to +limit over a middle grey, shape (1, 256, 3)."""
    return signed(None, np.linspace(-1.0, 1.0, 256)[None], 1.0)


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


def _blend(below: NDArray[Any], colours: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    # The square root keeps places of medium heat visible.
    opacity = (_STRONGEST * np.sqrt(values))[..., None]
    return np.asarray(below * (1.0 - opacity) + colours * opacity)


def _grey(image: Pixels) -> NDArray[np.float64]:
    return np.repeat((image @ np.array(_LUMINANCE))[..., None], 3, axis=-1)


def _neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with at least one of their four neighbours in the mask."""
    padded = np.pad(mask, 1)
    return np.asarray(padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:])


def _to_bytes(values: NDArray[np.float64]) -> Pixels:
    return np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)
