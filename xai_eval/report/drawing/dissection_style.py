"""What the figures of dissections share: names of the methods, sizes, colours of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from xai_eval.media.figure_text import plain
from xai_eval.report.cases import ReportCase
from xai_eval.result.fields import UnitLabels

METHODS = {"clip_units": "CLIP", "pixel_units": "pixel labels"}
DPI = 110
GREY = "0.35"
LETTERS = 40  # of a name beside an axis, so that there is room for the bars
# Shapes of the dots of layers, for those who do not see their colours.
MARKERS = "osD^vPX*"


def labelled(case: ReportCase) -> Iterator[tuple[str, UnitLabels]]:
    """Yield the methods by which the units of a case are labelled, and the labels; none that labels no unit."""
    fields = case.fields(UnitLabels)
    return ((name, fields[name]) for name in METHODS if name in fields and len(fields[name].units))


def layers_of(frame: pd.DataFrame) -> list[str]:
    """Return the layers of a table of units in the order of the model."""
    return list(dict.fromkeys(frame["layer"]))


def layer_colours(layers: Sequence[str]) -> list[Any]:
    """Return a colour per layer, darker for earlier ones."""
    return list(colormaps["viridis"](np.linspace(0.15, 0.85, len(layers))))


def panel_at(figure: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Add axes at a place in inches from the upper left: matplotlib's own layouts draw every text twice."""
    whole_width, whole_height = figure.get_size_inches()
    place = left / whole_width, 1.0 - (top + height) / whole_height, width / whole_width, height / whole_height
    return figure.add_axes(place)


def headline(figure: Figure, text: str, top: float, size: float = 11, **options: Any) -> None:
    """Write a line in the middle of a figure, `top` inches below its upper edge."""
    height = figure.get_size_inches()[1]
    shown = plain(text, 200)
    figure.text(0.5, 1.0 - top / height, shown, fontsize=size, ha="center", va="center", parse_math=False, **options)


def without_frame(axes: Any) -> None:
    """Leave only the axes of a panel, with small numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
