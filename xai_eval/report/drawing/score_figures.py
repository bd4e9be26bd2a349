"""Histograms of the scores of labels. Only scores that can be compared share an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xai_eval.media.figure_text import label, plain
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.dissection_style import (
    DPI,
    GREY,
    LETTERS,
    METHODS,
    headline,
    layer_colours,
    panel_at,
    without_frame,
)
from xai_eval.report.text.doubt import interpretable_from
from xai_eval.result.fields import UnitLabels

_CLIP, _PIXELS = METHODS
_BINS = 24
# Inches.
_LEFT, _PANEL, _GAP, _ROW = 0.7, 3.7, 0.6, 1.55
_NOTE = (
    "Scores by CLIP compare only for the same model, layer, words and images, so each panel has axes of its own.",
    "IoU compares everywhere, so its panels share their axes, and the units of all models are ranked by it.",
    "The dashed line marks from where on a label counts as interpretable.",
)
_Scores = Mapping[tuple[str, str], "pd.Series[float]"]


def similarity_distribution(cases: Sequence[ReportCase]) -> Figure:
    """Draw, by method, one histogram per model (column) and layer (row); below those by pixels, ranks of the units."""
    models = [case.verdict.case.model for case in cases]
    by_method = {method: _scores(cases, method) for method in shared_methods(cases)}
    rows = sum(len(_layers(scores)) + (method == _PIXELS) for method, scores in by_method.items())
    width = _LEFT + max(len(models), 2) * (_PANEL + _GAP)
    figure = Figure(figsize=(width, 1.0 + 0.5 * len(by_method) + _ROW * rows), dpi=DPI, facecolor="white")
    headline(figure, "How well the labels fit their units", 0.2)
    top = 0.35
    limit = next((each for each in map(interpretable_from, cases) if each is not None), None)
    for method, scores in by_method.items():
        top = _method(figure, top, method, scores, models, limit if method == _PIXELS else None)
    for number, line in enumerate(_NOTE):
        headline(figure, line, top + 0.2 * (number + 1), 8, color=GREY)
    return figure


def shared_methods(cases: Sequence[ReportCase]) -> list[str]:
    """Return the methods by which the units of all cases are labelled."""
    return [name for name in METHODS if all(name in case.fields(UnitLabels) for case in cases)]


def _layers(scores: _Scores) -> list[str]:
    return list(dict.fromkeys(layer for _, layer in scores))


def _scores(cases: Sequence[ReportCase], method: str) -> _Scores:
    """Return the scores of the labels by model and layer; where no unit has one, there is none."""
    found = {}
    for case in cases:
        for layer, frame in case.fields(UnitLabels)[method].units.groupby("layer", sort=False):
            scores = frame["score"].dropna()
            if len(scores):
                found[case.verdict.case.model, str(layer)] = scores
    return found


def _method(
    figure: Figure, top: float, method: str, scores: _Scores, models: Sequence[str], limit: float | None
) -> float:
    """Draw the panels of one method from `top` on, in inches, with a line at `limit`, and return where they end."""
    name, iou = METHODS[method], method == _PIXELS
    headline(figure, f"by {name}" if scores else f"no unit is labelled by {name}", top + 0.2, 10)
    top += 0.4
    ends = (0.0, max(_ends(scores.values())[1], 1.5 * (limit or 0.0))) if iou and scores else None
    drawn = []
    for layer in _layers(scores):
        for column, model in enumerate(models):
            panel = panel_at(figure, _LEFT + column * (_PANEL + _GAP), top + 0.25, _PANEL, _ROW - 0.65)
            _histogram(panel, scores.get((model, layer)), f"{model}, {layer}", ends)
            panel.set_xlabel("IoU" if iou else f"score by {name}", fontsize=8, labelpad=1)
            drawn.append(panel)
        top += _ROW
    if not drawn or not iou:
        return top
    most = max(panel.get_ylim()[1] for panel in drawn)
    for panel in drawn:
        panel.set_ylim(0.0, most)
        if limit is not None:
            _mark(panel, limit)
    _ranks(
        panel_at(figure, _LEFT, top + 0.15, max(len(models), 2) * (_PANEL + _GAP) - _GAP, _ROW - 0.55), scores, models
    )
    return top + _ROW


def _ends(every: Any) -> tuple[float, float]:
    values = np.concatenate([each.to_numpy() for each in every])
    return float(values.min()), max(float(values.max()), float(values.min()) + 1e-9)


def _histogram(axes: Any, scores: pd.Series[float] | None, name: str, ends: tuple[float, float] | None) -> None:
    axes.set_title(
        plain(f"{name}: {0 if scores is None else len(scores)} units", LETTERS), fontsize=8, parse_math=False
    )
    without_frame(axes)
    axes.set_ylabel("units", fontsize=8)
    if ends is not None:
        axes.set_xlim(*ends)
    if scores is not None:
        counts, edges = np.histogram(scores, bins=np.linspace(*(ends or _ends([scores])), _BINS + 1))
        axes.stairs(counts, edges, fill=True, color=layer_colours(["one"])[0])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _mark(axes: Any, limit: float) -> None:
    axes.axvline(limit, color="0.25", linewidth=1, linestyle="--")
    axes.annotate(
        f"{limit:g}", (limit, 1.0), (3, -8), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=7
    )


def _ranks(axes: Any, scores: _Scores, models: Sequence[str]) -> None:
    """Draw for each model which share of its units is up to which rank among the units of all models."""
    by_model = {
        model: pd.concat([each for (own, _), each in scores.items() if own == model])
        for model in models
        if any(own == model for own, _ in scores)
    }
    ranks = pd.concat(by_model, names=["model"]).rank(pct=True) * 100
    for model, dashes in zip(by_model, ("-", "--", "-.", ":") * len(by_model), strict=False):
        own = np.sort(np.asarray(ranks.loc[model], dtype=np.float64))
        shares = np.arange(1, len(own) + 1) / len(own)
        own, shares = np.append(own, 100.0), np.append(shares, 1.0)  # the rest of the ranks is of other models
        axes.step(own, shares, where="post", linewidth=1.6, linestyle=dashes, label=label(model, LETTERS))
    axes.plot([0, 100], [0, 1], color="0.7", linewidth=0.8, label="no difference")
    axes.set_xlabel("rank by IoU among the units of all models (percentile)", fontsize=8)
    axes.set_ylabel("share of units", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    without_frame(axes)
