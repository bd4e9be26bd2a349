"""Draw the top images of each unit side by side, and outline where the unit is active."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_eval.explainers.dissection.image_summary import THUMBNAIL
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.probe_pass import ProbePass

_OUTLINE, _AROUND = (0, 255, 255), (0, 0, 0)
_GAP = 2  # white pixels between two images
_KEPT = 4096  # thumbnails that stay decoded, 16 kB each
Pixels = NDArray[np.uint8]


def strips(probe_pass: ProbePass, layer: int, top: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield one JPEG per unit of a layer: its top images side by side, 72 px each.

    Args:
        probe_pass: the finished pass over the probe set.
        layer: index into `DissectionPlan.layers`.
        top: rows of the t top images of each of the J units, best first, (J, t). The outline is known of the images on
            which the unit is most active, at most `SHOWN`.
    """
    summaries, whole = probe_pass.summaries(layer), probe_pass.whole
    peaks = whole.layers[layer].peaks
    thresholds = None if peaks is None else peaks.top.quantile(SHARE)
    thumbnail = lru_cache(maxsize=_KEPT)(lambda row: summaries[row].pixels)
    for unit, rows in enumerate(top):
        tiles = []
        for row in rows.tolist():
            strong = None if peaks is None else peaks.strongest.map_of(unit, int(whole.positions[row]))
            active = None if strong is None or thresholds is None else _enlarged(strong) > thresholds[unit]
            tiles += [_outlined(thumbnail(row), active), _white()]
        yield _jpeg(np.concatenate(tiles[:-1], axis=1))


def _enlarged(unit_map: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(unit_map).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))


def _outlined(pixels: Pixels, active: NDArray[np.bool_] | None) -> Pixels:
    """Draw a bright line inside the border and a dark line outside it, so that one of them shows on any image."""
    if active is None or not active.any():
        return pixels
    drawn = pixels.copy()
    drawn[_edge(~active)] = _AROUND
    drawn[_edge(active)] = _OUTLINE
    return drawn


def _edge(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of an area that have a neighbour outside it; beyond the border of the image there is none."""
    inner = area.copy()
    inner[1:] &= area[:-1]
    inner[:-1] &= area[1:]
    inner[:, 1:] &= area[:, :-1]
    inner[:, :-1] &= area[:, 1:]
    edge: NDArray[np.bool_] = area & ~inner
    return edge


def _white() -> Pixels:
    return np.full((THUMBNAIL, _GAP, 3), 255, dtype=np.uint8)


def _jpeg(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=75)
    return buffer.getvalue()
