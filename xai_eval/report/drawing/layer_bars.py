"""Layer bars: how many units of each layer stand for each concept, as counts and as shares of the layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xai_eval.media.figure_text import label, plain
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.dissection_style import (
    DPI,
    LETTERS,
    MARKERS,
    METHODS,
    headline,
    labelled,
    layer_colours,
    layers_of,
    panel_at,
    without_frame,
)

_MOST_CONCEPTS = 25
_NO_LABEL = "(not interpretable)"
_ROOM = 1.06  # of an axis beyond its longest bar
# Inches: a panel, the gap between two, and what a row takes for heading, numbers and name of the axis.
_PANEL, _GAP, _AROUND = 3.9, 0.25, 0.95
_LETTERS_OF_INCH = 13


@dataclass(frozen=True)
class _Ends:
    """Where the axes of one method end, for all models: units, and percent of a layer."""

    units: float
    percent: float


def layer_bars(cases: Sequence[ReportCase]) -> Iterator[tuple[ReportCase, Figure]]:
    """Draw one figure per model; the axes of a method end alike in all, so that the models can be compared."""
    counts = [{method: concept_counts(labels.units) for method, labels in labelled(case)} for case in cases]
    ends = {method: _ends([own[method] for own in counts if method in own]) for method in METHODS}
    for case, own in zip(cases, counts, strict=True):
        yield case, _figure(case, own, ends)


def _ends(every: Sequence[pd.DataFrame]) -> _Ends:
    units = max((float(each.sum(axis=1).max()) for each in every), default=1.0)
    percent = max((float(shares(each).to_numpy().max()) for each in every), default=1.0)
    return _Ends(units * _ROOM, percent * _ROOM)


def concept_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Count units by concept (rows, most frequent first) and layer (columns, in the order of the model)."""
    told = frame["label"].notna() & frame.get("interpretable", True)
    known = frame.assign(label=frame["label"].where(told, _NO_LABEL))
    counts = known.groupby(["label", "layer"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=layers_of(frame), fill_value=0)
    return _folded(counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index])


def shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Return each count as percent of the units of its layer."""
    return 100.0 * counts / counts.sum()


def _folded(counts: pd.DataFrame) -> pd.DataFrame:
    if len(counts) <= _MOST_CONCEPTS:
        return counts
    rest = counts.iloc[_MOST_CONCEPTS - 1 :]
    return pd.concat([counts.iloc[: _MOST_CONCEPTS - 1], rest.sum().to_frame(f"{len(rest)} more").T])


def _figure(case: ReportCase, counts: dict[str, pd.DataFrame], ends: dict[str, _Ends]) -> Figure:
    left = 0.4 + max(min(len(str(name)), LETTERS) for each in counts.values() for name in each.index) / _LETTERS_OF_INCH
    heights = {method: 0.22 * len(each) + 0.1 for method, each in counts.items()}
    size = left + 2 * _PANEL + _GAP + 0.2, 0.9 + sum(heights.values()) + _AROUND * len(counts)
    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    headline(figure, f"What the units of {case.verdict.case.model} stand for", 0.2)
    top = 0.3
    for method, each in counts.items():
        bars = panel_at(figure, left, top + 0.4, _PANEL, heights[method])
        dots = panel_at(figure, left + _PANEL + _GAP, top + 0.4, _PANEL, heights[method])
        _stack(bars, each)
        _dots(dots, shares(each))
        bars.set_title(f"labelled by {METHODS[method]}: units", fontsize=10)
        dots.set_title("share of the units of each layer", fontsize=10)
        bars.set_xlim(0.0, ends[method].units)
        dots.set_xlim(-0.02 * ends[method].percent, ends[method].percent)
        top += heights[method] + _AROUND
    layers = figure.axes[0].get_legend_handles_labels()
    figure.legend(*layers, loc="lower center", ncols=min(len(layers[0]), 6), frameon=False, fontsize=9)
    return figure


def _stack(axes: Any, counts: pd.DataFrame) -> None:
    places, left = np.arange(len(counts)), np.zeros(len(counts))
    for (layer, column), colour in zip(counts.items(), layer_colours(list(counts.columns)), strict=True):
        axes.barh(places, column, left=left, color=colour, label=label(str(layer), LETTERS))
        left += column.to_numpy()
    axes.set_yticks(places, [plain(str(name), LETTERS) for name in counts.index], fontsize=8, parse_math=False)
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlabel("units", fontsize=9)
    without_frame(axes)


def _dots(axes: Any, percent: pd.DataFrame) -> None:
    places = np.arange(len(percent))
    for number, (layer, colour) in enumerate(zip(percent, layer_colours(list(percent.columns)), strict=True)):
        axes.plot(percent[layer], places, MARKERS[number % len(MARKERS)], color=colour, markersize=5, clip_on=False)
    axes.set_yticks(places, [])
    axes.set_ylim(len(percent) - 0.4, -0.6)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("percent of the layer", fontsize=9)
    without_frame(axes)
