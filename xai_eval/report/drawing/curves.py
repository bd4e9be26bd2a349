"""Images of curves, for the page and for the figure files."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xai_eval.media.figure_text import label
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.any_script import any_script
from xai_eval.report.drawing.own_style import own_style
from xai_eval.report.drawing.panels import Panel
from xai_eval.report.drawing.pixels import Pixels
from xai_eval.result.fields import Curve
from xai_eval.result.naming import title

_SIZE = (5.0, 3.0)  # inches
_LETTERS = 50  # of a name, so that the legend leaves room for the lines
_DPI = 150  # sharp on screens with small pixels, where the page shows it at two thirds
# Colours that the colour-blind can tell apart (Okabe and Ito 2008); without colour, the dashes differ.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DASHES = ("-", "--", "-.", ":")


def curve_panels(case: ReportCase) -> list[Panel]:
    """Return one panel per curve of a case; if it drifted, the expected curve is drawn in grey under it."""
    panels = []
    for name, curve in case.fields(Curve).items():
        about = f"{title(name)} of {case.verdict.case.input}: {', '.join(curve.lines)} over {curve.x_label}"
        panels.append(Panel(title(name), about, draw_curve(curve, _expected(case, name))))
    return panels


def curve_figures(case: ReportCase) -> dict[str, Figure]:
    """Return the same as figures of matplotlib, by field."""
    return {name: _figure(curve, _expected(case, name)) for name, curve in case.fields(Curve).items()}


def _expected(case: ReportCase, name: str) -> Curve | None:
    moved = any(finding.field == name for finding in case.verdict.findings)
    was = case.golden.fields.get(name) if case.golden and moved else None
    return was if isinstance(was, Curve) else None


@own_style()
def draw_curve(curve: Curve, expected: Curve | None = None) -> Pixels:
    """Draw the lines of a curve, those of `expected` in grey beneath them: RGB (h, w, 3)."""
    canvas = FigureCanvasAgg(_figure(curve, expected))
    with any_script():
        canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _figure(curve: Curve, expected: Curve | None) -> Figure:
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white", layout="tight")
    axes = figure.add_subplot(
        xlabel=label(curve.x_label, _LETTERS),
        ylabel=label(curve.y_label, _LETTERS),
        xlim=(curve.x[0], curve.x[-1]),
        ylim=_limits(curve),
    )
    if expected:
        for name, values in expected.lines.items():
            axes.plot(expected.x, values, color="0.6", linewidth=4, label=label(f"{name}, expected", _LETTERS))
    for place, (name, values) in enumerate(curve.lines.items()):
        colour, dashes = _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)]
        axes.plot(curve.x, values, label=label(name, _LETTERS), color=colour, linestyle=dashes)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _limits(curve: Curve) -> tuple[float, float]:
    """Return the range of the vertical axis: 0 to 1 if all values are in it, else the range of the values."""
    values = np.concatenate(list(curve.lines.values()))
    known = values[np.isfinite(values)]
    least, most = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return (0.0, 1.0) if least >= 0.0 and most <= 1.0 else (min(least, 0.0), most)
