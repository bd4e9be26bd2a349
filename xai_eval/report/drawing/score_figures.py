"""Histograms of the scores of labels. Only scores that can be compared share an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xai_eval.media.figure_text import label, plain
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.dissection_style import DPI, GREY, LETTERS, METHODS, layer_colours, without_frame
from xai_eval.result.fields import UnitLabels

_CLIP, _PIXELS = METHODS
_BINS = 24
_NOTE = (
    "Each panel by CLIP has an axis of its own: such scores compare only for the same model, layer, words and images. "
    "IoU compares everywhere, so its panels share their axes, and units of all models are ranked by it."
)
_Scores = Mapping[tuple[str, str], "pd.Series[float]"]


def similarity_distribution(cases: Sequence[ReportCase]) -> Figure:
    """Draw, by method, one histogram per model (column) and layer (row); below those by pixels, ranks of the units."""
    models = [case.verdict.case.model for case in cases]
    by_method = {method: _scores(cases, method) for method in shared_methods(cases)}
    layers = [layer for scores in by_method.values() for layer in dict.fromkeys(key[1] for key in scores)]
    rows = len(layers) + (_PIXELS in by_method)
    figure = Figure(figsize=(1.5 + 4.1 * max(len(models), 2), 1.2 + 1.55 * max(rows, 1)), dpi=DPI, layout="constrained")
    parts = figure.subfigures(max(len(by_method), 1), 1, height_ratios=_heights(by_method), squeeze=False)[:, 0]
    for part, (method, scores) in zip(parts, by_method.items(), strict=True):
        _method(part, method, scores, models)
    figure.suptitle("How well the labels fit their units", fontsize=11)
    figure.supxlabel(_NOTE, fontsize=8, color=GREY, wrap=True)
    return figure


def shared_methods(cases: Sequence[ReportCase]) -> list[str]:
    """Return the methods by which the units of all cases are labelled."""
    return [name for name in METHODS if all(name in case.fields(UnitLabels) for case in cases)]


def _heights(by_method: Mapping[str, _Scores]) -> list[float]:
    return [len({key[1] for key in scores}) + 1.0 + (name == _PIXELS) for name, scores in by_method.items()] or [1.0]


def _scores(cases: Sequence[ReportCase], method: str) -> _Scores:
    """Return the scores of the labels by model and layer; where no unit has one, there is none."""
    found = {}
    for case in cases:
        for layer, frame in case.fields(UnitLabels)[method].frame.groupby("layer", sort=False):
            scores = frame["score"].dropna()
            if len(scores):
                found[case.verdict.case.model, str(layer)] = scores
    return found


def _method(part: Any, method: str, scores: _Scores, models: Sequence[str]) -> None:
    name = METHODS[method]
    part.suptitle(f"by {name}" if scores else f"no unit is labelled by {name}", fontsize=10)
    layers = list(dict.fromkeys(layer for _, layer in scores))
    if not layers:
        return
    iou, share = method == _PIXELS, "all" if method == _PIXELS else False
    panels, last = part.subfigures(2, 1, height_ratios=[len(layers), 1.6]) if iou else (part, None)
    axes = panels.subplots(len(layers), len(models), squeeze=False, sharex=share, sharey=share)
    ends = _ends(scores.values()) if iou else None
    for row, layer in zip(axes, layers, strict=True):
        for panel, model in zip(row, models, strict=True):
            _histogram(panel, scores.get((model, layer)), f"{model}, {layer}", ends)
    for panel in axes[-1]:
        panel.set_xlabel("IoU" if iou else f"score by {name}", fontsize=8)
    if last is not None:
        _ranks(last.subplots(), scores, models)


def _ends(every: Any) -> tuple[float, float]:
    values = np.concatenate([each.to_numpy() for each in every])
    return float(values.min()), max(float(values.max()), float(values.min()) + 1e-9)


def _histogram(axes: Any, scores: pd.Series[float] | None, name: str, ends: tuple[float, float] | None) -> None:
    axes.set_title(
        plain(f"{name}: {0 if scores is None else len(scores)} units", LETTERS), fontsize=8, parse_math=False
    )
    without_frame(axes)
    axes.set_ylabel("units", fontsize=8)
    if scores is not None:
        axes.hist(scores, bins=np.linspace(*(ends or _ends([scores])), _BINS + 1), color=layer_colours(["one"])[0])


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
        axes.step(own, shares, where="post", linewidth=1.6, linestyle=dashes, label=label(model, LETTERS))
    axes.plot([0, 100], [0, 1], color="0.7", linewidth=0.8, label="no difference")
    axes.set_xlabel("rank by IoU among the units of all models (percentile)", fontsize=8)
    axes.set_ylabel("share of units", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    without_frame(axes)
