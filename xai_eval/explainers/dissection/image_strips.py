"""Draw the top images of each unit side by side, and outline where the unit is active."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

from xai_eval.explainers.dissection.image_summary import THUMBNAIL
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.probe_pass import ProbePass

_OUTLINE, _AROUND = (0, 255, 255), (0, 0, 0)
_GAP = 2  # white pixels between two images
Pixels = NDArray[np.uint8]


def strips(probe_pass: ProbePass, layer: int, top: NDArray[np.int64]) -> Iterator[bytes]:
    """Yield one JPEG per unit of a layer: its top images side by side, 72 px each.

    Args:
        probe_pass: the finished pass over the probe set.
        layer: index into `DissectionPlan.layers`.
        top: rows of the t top images of each of the J units, best first, (J, t).
    """
    summaries, active = probe_pass.summaries(layer), _active(probe_pass, layer, top)
    for unit, rows in enumerate(top):
        tiles = [_outlined(summaries[row].pixels, active.get((unit, int(row)))) for row in rows]
        yield _jpeg(np.concatenate([part for tile in tiles for part in (tile, _white())][:-1], axis=1))


def _active(probe_pass: ProbePass, layer: int, top: NDArray[np.int64]) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """Return, by unit and row of a top image, where the unit exceeds its threshold, at the size of a thumbnail."""
    values, rows = probe_pass.whole.layers[layer].top, probe_pass.rows
    if values is None:
        return {}
    thresholds = values.quantile(SHARE)
    wanted = {(unit, int(row)) for unit, chosen in enumerate(top) for row in chosen}
    return {
        (int(unit), rows[position]): _enlarged(unit_map) > thresholds[unit]
        for part in probe_pass.maps(layer)
        for position, units, maps in part.by_image()
        for unit, unit_map in zip(units, maps, strict=True)
        if (int(unit), rows[position]) in wanted
    }


def _enlarged(unit_map: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(unit_map).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))


def _outlined(pixels: Pixels, active: NDArray[np.bool_] | None) -> Pixels:
    """Draw a bright line inside the border and a dark line outside it, so that one of them shows on any image."""
    if active is None or not active.any():
        return pixels
    drawn = pixels.copy()
    inner = binary_erosion(active, border_value=1)
    drawn[~active & ~binary_erosion(~active, border_value=1)] = _AROUND
    drawn[active & ~inner] = _OUTLINE
    return drawn


def _white() -> Pixels:
    return np.full((THUMBNAIL, _GAP, 3), 255, dtype=np.uint8)


def _jpeg(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=75)
    return buffer.getvalue()
