"""Figures of a dissection: concepts by layer, scores of two models, and what the most active units say of one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from xai_eval.media.figure_text import label, plain
from xai_eval.report.cases import ReportCase
from xai_eval.report.text.wording import slug
from xai_eval.result.fields import InputImage, Table, UnitLabels

_METHODS = {"clip_units": "CLIP", "pixel_units": "pixel labels"}
_MOST_CONCEPTS = 25
_NO_LABEL = "(not interpretable)"
_DPI = 110
_GREY = "0.35"
_LETTERS = 40  # of a name beside an axis, so that there is room for the bars


def dissection_figures(cases: Sequence[ReportCase]) -> Mapping[str, Figure]:
    """Draw the figures of all dissections among `cases`; file name without ending -> figure."""
    own = [case for case in cases if case.fields(UnitLabels)]
    figures: dict[str, Figure] = {}
    for together in _by_input(own):
        suffix = "" if len(_by_input(own)) == 1 else f"_{slug(together[0].verdict.case.input)}"
        for case in together:
            figures[f"{slug(case.verdict.case.model)}_layer_concepts{suffix}"] = _layer_concepts(case)
        if _shared_methods(together):
            figures[f"similarity_distribution{suffix}"] = _similarity_distribution(together)
        if any("interpretation" in case.fields(Table) for case in together):
            figures[f"image_interpretation{suffix}"] = _image_interpretation(together)
    return figures


def _by_input(cases: Sequence[ReportCase]) -> list[list[ReportCase]]:
    groups: dict[str, list[ReportCase]] = {}
    for case in cases:
        groups.setdefault(case.verdict.case.input, []).append(case)
    return list(groups.values())


def _layer_concepts(case: ReportCase) -> Figure:
    """Draw how many units stand for each concept, stacked by layer; one panel per method."""
    shown = [(_METHODS[name], _counts(labels.frame)) for name, labels in _labelled(case)]
    rows = max(len(counts) for _, counts in shown)
    figure = Figure(figsize=(5.2 * len(shown), 1.6 + 0.24 * rows), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for panel, (method, counts) in zip(axes, shown, strict=True):
        _stack(panel, counts)
        panel.set_title(f"labelled by {method}", fontsize=10)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    figure.suptitle(plain(f"What the units of {case.verdict.case.model} stand for"), fontsize=11, parse_math=False)
    return figure


def _labelled(case: ReportCase) -> Iterator[tuple[str, UnitLabels]]:
    fields = case.fields(UnitLabels)
    return ((name, fields[name]) for name in _METHODS if name in fields)


def _counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Units by concept (rows, most frequent first) and layer (columns, in the order of the model)."""
    layers = list(dict.fromkeys(frame["layer"]))
    told = frame["label"].notna() & frame.get("interpretable", True)
    known = frame.assign(label=frame["label"].where(told, _NO_LABEL))
    counts = known.groupby(["label", "layer"]).size().unstack(fill_value=0).reindex(columns=layers, fill_value=0)
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return _folded(counts.loc[order])


def _folded(counts: pd.DataFrame) -> pd.DataFrame:
    if len(counts) <= _MOST_CONCEPTS:
        return counts
    rest = counts.iloc[_MOST_CONCEPTS - 1 :]
    return pd.concat([counts.iloc[: _MOST_CONCEPTS - 1], rest.sum().to_frame(f"{len(rest)} more").T])


def _stack(axes: Any, counts: pd.DataFrame) -> None:
    places, left = np.arange(len(counts)), np.zeros(len(counts))
    colours = colormaps["viridis"](np.linspace(0.15, 0.85, counts.shape[1]))
    for (layer, column), colour in zip(counts.items(), colours, strict=True):
        axes.barh(places, column, left=left, color=colour, label=label(str(layer), _LETTERS))
        left += column.to_numpy()
    axes.set_yticks(places, [plain(str(name), _LETTERS) for name in counts.index], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("units", fontsize=9)
    _without_frame(axes)


def _similarity_distribution(cases: Sequence[ReportCase]) -> Figure:
    """Scores of the labels, raw and as ranks among the units of all models."""
    methods = _shared_methods(cases)
    figure = Figure(figsize=(9.6, 0.9 + 3.1 * len(methods)), dpi=_DPI, layout="constrained")
    axes = figure.subplots(len(methods), 2, squeeze=False)
    for row, method in zip(axes, methods, strict=True):
        scores = _scores(cases, method)
        if scores:
            _raw(row[0], scores, _METHODS[method])
            _ranked(row[1], scores)
        else:
            row[0].set_title(f"no unit is labelled by {_METHODS[method]}", fontsize=9)
    figure.suptitle("How well the labels fit their units", fontsize=11)
    figure.supxlabel(
        "Raw scores compare only within one setup: the same model, layer, words and images. Ranks say which model's "
        "units come higher,\nnot by how much.",
        fontsize=8,
        color=_GREY,
    )
    return figure


def _shared_methods(cases: Sequence[ReportCase]) -> list[str]:
    return [name for name in _METHODS if all(name in case.fields(UnitLabels) for case in cases)]


def _scores(cases: Sequence[ReportCase], method: str) -> dict[str, pd.Series[float]]:
    """Scores of the labels by model; models without any are left out."""
    scores = {case.verdict.case.model: case.fields(UnitLabels)[method].frame["score"].dropna() for case in cases}
    return {model: each for model, each in scores.items() if len(each)}


def _raw(axes: Any, scores: Mapping[str, pd.Series[float]], method: str) -> None:
    values = np.concatenate([each.to_numpy() for each in scores.values()])
    bins = np.linspace(values.min(), max(values.max(), values.min() + 1e-9), 31)
    for model, each in scores.items():
        axes.hist(
            each, bins=bins, histtype="step", linewidth=1.6, label=label(f"{model} ({len(each)} units)", _LETTERS)
        )
    axes.set_xlabel(f"score by {method}", fontsize=9)
    axes.set_ylabel("units", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    _without_frame(axes)


def _ranked(axes: Any, scores: Mapping[str, pd.Series[float]]) -> None:
    ranks = pd.concat(scores, names=["model"]).rank(pct=True) * 100
    for model in scores:
        own = np.sort(np.asarray(ranks.loc[model], dtype=np.float64))
        axes.step(own, np.arange(1, len(own) + 1) / len(own), where="post", linewidth=1.6, label=label(model, _LETTERS))
    axes.plot([0, 100], [0, 1], color="0.7", linestyle=":", label="no difference")
    axes.set_xlabel("rank among the units of all models (percentile)", fontsize=9)
    axes.set_ylabel("share of the model's units", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    _without_frame(axes)


def _image_interpretation(cases: Sequence[ReportCase]) -> Figure:
    """One image, and the labels of each model's most active units."""
    shown = [case for case in cases if "interpretation" in case.fields(Table)]
    figure = Figure(figsize=(3.2 + 3.6 * len(shown), 3.5), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, 1 + len(shown), width_ratios=[1.0, *([1.15] * len(shown))])
    image = next((case.view for case in shown if case.view), None)
    axes[0].axis("off")
    if isinstance(image, InputImage):
        axes[0].imshow(image.array)
    axes[0].set_title(plain(str(shown[0].labels.get("interpreted", "")), _LETTERS), fontsize=9, parse_math=False)
    for panel, case in zip(axes[1:], shown, strict=True):
        _interpret(panel, case)
    figure.suptitle("What the most active units stand for", fontsize=11)
    return figure


def _interpret(axes: Any, case: ReportCase) -> None:
    frame = case.fields(Table)["interpretation"].frame
    places = np.arange(len(frame))
    axes.barh(places, frame["deviations"], color=colormaps["viridis"](0.45))
    units = zip(frame["unit"], frame["label"], strict=True)
    names = [f"{plain(str(said or 'no label'), _LETTERS)}  ({plain(str(unit), _LETTERS)})" for unit, said in units]
    axes.set_yticks(places, names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("standard deviations above the unit's mean", fontsize=8)
    axes.set_title(plain(case.verdict.case.model, _LETTERS), fontsize=9, parse_math=False)
    _without_frame(axes)


def _without_frame(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
