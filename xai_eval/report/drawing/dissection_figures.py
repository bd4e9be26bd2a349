"""Figures of dissections: layer bars, unit strips, scores, and what the most active units say of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from xai_eval.media.figure_text import plain
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.dissection_style import DPI, LETTERS, labelled, without_frame
from xai_eval.report.drawing.layer_bars import layer_bars
from xai_eval.report.drawing.score_figures import shared_methods, similarity_distribution
from xai_eval.report.drawing.unit_figures import unit_strips
from xai_eval.report.text.wording import slug
from xai_eval.result.fields import InputImage, Table


def dissection_figures(cases: Sequence[ReportCase]) -> Mapping[str, Figure]:
    """Draw the figures of all dissections among `cases`; file name without ending -> figure."""
    own = [case for case in cases if any(labelled(case))]  # tests may keep labels of units under any name
    figures: dict[str, Figure] = {}
    for together in _by_input(own):
        suffix = "" if len(_by_input(own)) == 1 else f"_{slug(together[0].verdict.case.input)}"
        for case, bars in layer_bars(together):
            figures[f"{slug(case.verdict.case.model)}_layer_concepts{suffix}"] = bars
        for case in together:
            strips = unit_strips(case)
            if strips is not None:
                figures[f"{slug(case.verdict.case.model)}_units{suffix}"] = strips
        if shared_methods(together):
            figures[f"similarity_distribution{suffix}"] = similarity_distribution(together)
        if any("interpretation" in case.fields(Table) for case in together):
            figures[f"image_interpretation{suffix}"] = _image_interpretation(together)
    return figures


def _by_input(cases: Sequence[ReportCase]) -> list[list[ReportCase]]:
    groups: dict[str, list[ReportCase]] = {}
    for case in cases:
        groups.setdefault(case.verdict.case.input, []).append(case)
    return list(groups.values())


def _image_interpretation(cases: Sequence[ReportCase]) -> Figure:
    """One image, and the labels of each model's most active units."""
    shown = [case for case in cases if "interpretation" in case.fields(Table)]
    figure = Figure(figsize=(3.2 + 3.6 * len(shown), 3.5), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, 1 + len(shown), width_ratios=[1.0, *([1.15] * len(shown))])
    image = next((case.view for case in shown if case.view), None)
    axes[0].axis("off")
    if isinstance(image, InputImage):
        axes[0].imshow(image.array)
    axes[0].set_title(plain(str(shown[0].labels.get("interpreted", "")), LETTERS), fontsize=9, parse_math=False)
    for panel, case in zip(axes[1:], shown, strict=True):
        _interpret(panel, case)
    least, most = (end(panel.get_xlim()[side] for panel in axes[1:]) for end, side in ((min, 0), (max, 1)))
    for panel in axes[1:]:
        panel.set_xlim(least, most)
    figure.suptitle("What the most active units stand for", fontsize=11)
    return figure


def _interpret(axes: Any, case: ReportCase) -> None:
    frame = case.fields(Table)["interpretation"].frame
    places = np.arange(len(frame))
    axes.barh(places, frame["deviations"], color=colormaps["viridis"](0.45))
    units = zip(frame["unit"], frame["label"], strict=True)
    names = [f"{plain(str(said or 'no label'), LETTERS)}  ({plain(str(unit), LETTERS)})" for unit, said in units]
    axes.set_yticks(places, names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("standard deviations above the unit's mean", fontsize=8)
    axes.set_title(plain(case.verdict.case.model, LETTERS), fontsize=9, parse_math=False)
    without_frame(axes)
