"""Unit strips: the units whose labels fit best, layer by layer, with the images that they are most active on."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from xai_eval.media.figure_text import plain
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.dissection_style import DPI, METHODS, labelled
from xai_eval.report.text.doubt import doubts
from xai_eval.report.text.wording import cell_text
from xai_eval.result.fields import Gallery, UnitLabels

GALLERY = "top_images"
_MOST_UNITS, _MOST_LAYERS = 4, 5
_ROW, _HEAD = 0.6, 0.35  # inches
_STRIP, _WIDTH = 3.0, 8.2
_PALE, _DARK = "0.45", "black"
_NOTE = (
    "Outlined: where a unit is above its threshold, which 0.5 % of all places of all images are.",
    "An image without an outline has no such place. Labels in grey are in doubt, for the reason given.",
)


@dataclass(frozen=True)
class _Row:
    """A unit with its strip, and for each method its label, in words, and whether it is in doubt."""

    unit: str
    strip: NDArray[np.uint8]
    labels: tuple[tuple[str, bool], ...]


def unit_strips(case: ReportCase) -> Figure | None:
    """Draw the best units of each of the last layers; None if a case has no images of its units, such as a golden."""
    gallery = case.fields(Gallery).get(GALLERY)
    strips = gallery.strips if gallery is not None and gallery.known is None else {}
    layers = _layers(case, strips)
    if not any(layers.values()):
        return None
    height = 1.1 + sum(_HEAD + _ROW * len(rows) for rows in layers.values())
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _WIDTH), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    model = case.verdict.case.model
    _write(axes, 0.1, 0.25, f"Units of {model} whose labels fit best, highest score by {_sorter(case)} first", size=11)
    top = 0.5
    for layer, rows in layers.items():
        _write(axes, 0.1, top + _HEAD / 2, layer, weight="bold")
        top += _HEAD
        for row in rows:
            _draw(axes, top, row)
            top += _ROW
    for number, line in enumerate(_NOTE):
        _write(axes, 0.1, top + 0.2 * (number + 1), line, size=8, color=_PALE)
    return figure


def in_order(labels: UnitLabels) -> list[str]:
    """Return the names of units, the highest score first; those without a label come last."""
    return list(labels.frame.sort_values("score", ascending=False, kind="stable", na_position="last")["unit"])


def sorting_labels(case: ReportCase) -> tuple[str, UnitLabels]:
    """Return the method by whose scores units are sorted, and its labels: the last, as IoU compares over layers."""
    return list(labelled(case))[-1]


def _sorter(case: ReportCase) -> str:
    return METHODS[sorting_labels(case)[0]]


def _layers(case: ReportCase, strips: Mapping[str, bytes]) -> dict[str, list[_Row]]:
    _, labels = sorting_labels(case)
    layer_of = dict(zip(labels.units["unit"], labels.units["layer"], strict=True))
    units: dict[str, list[str]] = {layer: [] for layer in list(dict.fromkeys(layer_of.values()))[-_MOST_LAYERS:]}
    for unit in in_order(labels):
        own = units.get(layer_of[unit])
        if own is not None and len(own) < _MOST_UNITS and unit in strips:
            own.append(unit)
    return {layer: _rows(case, own, strips) for layer, own in units.items()}


def _rows(case: ReportCase, units: Sequence[str], strips: Mapping[str, bytes]) -> list[_Row]:
    told = [(METHODS[name], labels.frame.set_index("unit"), doubts(case, labels)) for name, labels in labelled(case)]
    rows = []
    for unit in units:
        texts = []
        for method, frame, doubted in told:
            known = unit in frame.index and isinstance(frame.at[unit, "label"], str)
            text = f"{frame.at[unit, 'label']!s}  {cell_text(frame.at[unit, 'score'])}" if known else "no label"
            why = f" ({doubted[unit]})" if unit in doubted else ""
            texts.append((f"{method}: {text}{why}", bool(why) or not known))
        rows.append(_Row(unit, _decoded(strips[unit]), tuple(texts)))
    return rows


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as opened:
            return np.asarray(opened.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return np.full((1, 1, 3), 255, np.uint8)


def _draw(axes: Any, top: float, row: _Row) -> None:
    high = _ROW - 0.06
    wide = min(_STRIP, high * row.strip.shape[1] / row.strip.shape[0])
    _write(axes, 0.1, top + _ROW / 2, row.unit, size=8)
    axes.imshow(row.strip, extent=(1.3, 1.3 + wide, top + high, top), aspect="auto", interpolation="antialiased")
    for number, (text, pale) in enumerate(row.labels):
        place = top + _ROW * (number + 1) / (len(row.labels) + 1)
        _write(axes, 1.45 + _STRIP, place, text, size=8, color=_PALE if pale else _DARK)


def _write(axes: Any, left: float, middle: float, text: str, *, size: float = 9, **options: Any) -> None:
    axes.text(left, middle, plain(text, 130), fontsize=size, va="center", parse_math=False, **options)
