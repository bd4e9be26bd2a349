"""Colour bars: which of them a case needs, and how a browser draws them without an image."""

from __future__ import annotations

from markupsafe import Markup

from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.pixels import Pixels
from xai_eval.result.fields import Heatmap, Weights

_STOPS = 16  # parts of a bar, between which a browser mixes the colours evenly


def kinds_of_maps(case: ReportCase) -> tuple[str, ...]:
    """Return the bars that explain colours of a case: `heat` from 0 to 1, `signed` from against the class to for it."""
    kinds = {"heat" if isinstance(each, Heatmap) else "signed" for each in case.maps.values()}
    if case.fields(Weights):
        kinds.add("signed")
    return tuple(sorted(kinds))


def gradient(legend: Pixels) -> Markup:
    """Return colours from left to right, shape (1, width, 3), as a value of CSS."""
    last = legend.shape[1] - 1
    places = [round(last * part / _STOPS) for part in range(_STOPS + 1)]
    colours = ", ".join("#{:02x}{:02x}{:02x}".format(*legend[0, place]) for place in places)
    return Markup(f"linear-gradient(to right, {colours})")
