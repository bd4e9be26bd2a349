"""Figure files of the report: images beside their maps; drifts as expected, obtained and difference."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xai_eval.media.figure_text import plain
from xai_eval.report.cases import AUDIT, ReportCase
from xai_eval.report.drawing.comparisons import Comparison, comparison
from xai_eval.report.drawing.curves import curve_figures
from xai_eval.report.drawing.dissection_figures import dissection_figures
from xai_eval.report.drawing.figure_formats import DEFAULT, encoded
from xai_eval.report.drawing.own_style import own_style
from xai_eval.report.drawing.panels import Panel, panels
from xai_eval.report.drawing.pixels import Pixels, diverging_legend, heat_scale, signed_scale
from xai_eval.report.text.wording import slug
from xai_eval.result.fields import Curve, Heatmap, SignedMap, Weights

_CELL = 2.6  # inches
_COLUMNS = 6
_GAP = 0.06
_LINE = 0.2  # inches that a line of text takes
_NOTE_LEFT = 2.35  # inches from the left to the text beside a scale
_LETTERS = 13  # that fit on an inch
_DPI = 110
_SENTENCE = 1_000  # characters of one line of the caption, before it is wrapped
_OVER = "The colours are shown over white places of an image (top) to black ones (bottom)."
_HEAT_NOTE = (
    "the lighter, the hotter; each map is scaled on its own: compare places within a map, not strengths between maps. "
    f"{_OVER}"
)
_SIGNED_NOTE = (
    "red speaks for the class, blue against it; the lighter, the stronger, the strongest 2 % alike; each map is scaled "
    f"on its own: compare places within a map, not strengths between maps. {_OVER}"
)
_WEIGHTS_NOTE = "weights of superpixels: red speaks for the class, blue against it; the lighter, the larger"


@own_style()
def figure_files(cases: Sequence[ReportCase], formats: Sequence[str] = DEFAULT) -> dict[str, bytes]:
    """Draw every figure of `cases`, once for all `formats` (png, svg, pdf); file name -> file."""
    files: dict[str, bytes] = {}
    for name, figure in _figures(cases):
        files |= {f"{name}.{ending}": file for ending, file in encoded(figure, formats).items()}
    return files


def _figures(cases: Sequence[ReportCase]) -> Iterator[tuple[str, Figure]]:
    names = figure_names(cases)
    for case in map(ReportCase.unloaded, cases):
        if case.maps:
            yield names[case.key, None], _draw_panels(panels(case), _caption(case), _legends(case))
        for field in case.changed_fields:
            yield names[case.key, field], _draw_comparison(case, comparison(case, field))
        for field, figure in curve_figures(case).items():
            yield names[case.key, field], figure
    yield from dissection_figures(cases).items()


def figure_names(cases: Sequence[ReportCase]) -> dict[tuple[str, str | None], str]:
    """Name the figures, without ending: by case key and None for the maps, by key and field for a drift or a curve.

    If two figures would get the same name (two models on one image), the digest of the case is appended.
    """
    names: dict[tuple[str, str | None], str] = {}
    for case in map(ReportCase.unloaded, cases):
        if case.maps:
            names[case.key, None] = f"{slug(case.image)}_{_kind(case)}{_class_suffix(case)}"
        for field in case.changed_fields:
            names[case.key, field] = f"{slug(case.image)}_drift_{slug(field)}"
        for field in case.fields(Curve):
            names[case.key, field] = f"{slug(case.image)}_{_kind(case)}_{slug(field)}"
    # Some file systems do not tell upper from lower case.
    taken = Counter(name.lower() for name in names.values())
    return {
        place: f"{name}-{place[0].rsplit('-', 1)[-1]}" if taken[name.lower()] > 1 else name
        for place, name in names.items()
    }


def _kind(case: ReportCase) -> str:
    """`vis` for class activation maps, as the study calls its figures; else the task."""
    return "vis" if case.verdict.case.task == "cams" else slug(case.verdict.case.task)


def _class_suffix(case: ReportCase) -> str:
    labels = [case.labels[name] for name in ("explained", "predicted") if name in case.labels]
    return next((f"_{label.index}" for label in labels if label.index is not None), "")


def _caption(case: ReportCase) -> list[str]:
    classes = "  ·  ".join(f"{name}: {label}" for name, label in case.labels.items() if name != AUDIT)
    warning = f"Target warning: {case.audit}" if case.audit else ""
    about = "  ·  ".join(filter(None, [case.verdict.case.input, case.verdict.case.model]))
    return _lines(about, classes, warning)


def _lines(*parts: str) -> list[str]:
    """Return the lines of a caption, before they are wrapped; a part that is empty has none."""
    return [plain(part, _SENTENCE) for part in parts if part]


def _draw_comparison(case: ReportCase, drift: Comparison) -> Figure:
    about = f"{drift.title} of {case.verdict.case.input}"
    caption = _lines(about, drift.legend, case.verdict.sentence)
    legends = []
    if drift.limit is not None:
        note = f"difference, obtained minus expected: {drift.meaning}"
        legends = [_Legend(diverging_legend(), f"-{drift.limit:.2g}", f"+{drift.limit:.2g}", note)]
    return _draw_panels([drift.expected, drift.obtained, drift.difference], caption, legends)


@dataclass(frozen=True)
class _Legend:
    """The scale of colours below the panels: its pixels, its ends, and what it means."""

    pixels: Pixels
    least: str
    most: str
    note: str


def _legends(case: ReportCase) -> list[_Legend]:
    """Return the scales of the kinds of maps that a case has, and of the weights of its superpixels."""
    kinds = {type(each) for each in case.maps.values()}
    found = []
    if Heatmap in kinds:
        found.append(_Legend(heat_scale(), "0", "1", _HEAT_NOTE))
    if SignedMap in kinds:
        found.append(_Legend(signed_scale(), "-", "+", _SIGNED_NOTE))
    if case.fields(Weights):
        found.append(_Legend(signed_scale(), "-", "+", _WEIGHTS_NOTE))
    return found


def _draw_panels(shown: Sequence[Panel], caption: Sequence[str], legends: Sequence[_Legend]) -> Figure:
    """Lay out by hand, in inches from the lower left: cells, scale, caption; its own layouts are slow."""
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    width = max(columns, 2) * _CELL  # one panel alone leaves no place for text
    lines = [part for line in caption for part in _wrap(line, width)]
    notes = [_wrap(plain(legend.note, _SENTENCE), width - _NOTE_LEFT - _GAP) for legend in legends]
    heights = [_LINE * max(1.5, len(note) + 0.5) for note in notes]
    below = _LINE * (len(lines) + 0.7) + sum(heights)
    figure, axes = _canvas(width, below + rows * (_CELL + _LINE))
    for index, panel in enumerate(shown):
        row, column = divmod(index, columns)
        _draw_panel(axes, panel, column * _CELL + _GAP, below + (rows - 1 - row) * (_CELL + _LINE))
    top = below - 0.4 * _LINE
    for legend, note, high in zip(legends, notes, heights, strict=True):
        _draw_scale(axes, top - high / 2, legend, note)
        top -= high
    for number, line in enumerate(lines):
        _write(axes, _GAP, _LINE * (len(lines) - number - 0.3), line)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Any]:
    """One pair of axes over the whole figure, in inches."""
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes


def _draw_panel(axes: Any, panel: Panel, left: float, bottom: float) -> None:
    side = _CELL - 2 * _GAP
    _write(axes, left + side / 2, bottom + side + 0.4 * _LINE, plain(panel.title), ha="center")
    if panel.pixels is not None:
        smoothing = "nearest" if panel.coarse else "antialiased"
        height, width = (side * length / max(panel.pixels.shape[:2]) for length in panel.pixels.shape[:2])
        left, bottom = left + (side - width) / 2, bottom + (side - height) / 2
        _show(axes, panel.pixels, (left, left + width, bottom, bottom + height), smoothing)
        return
    axes.add_patch(Rectangle((left, bottom), side, side, facecolor="0.85", edgecolor="0.7", hatch="//"))
    label = {"facecolor": "white", "edgecolor": "none", "pad": 4}
    word = "\n".join(textwrap.wrap(plain(panel.word), 24))
    _write(axes, left + side / 2, bottom + side / 2, word, ha="center", va="center", bbox=label)


def _draw_scale(axes: Any, middle: float, legend: _Legend, note: Sequence[str]) -> None:
    _show(axes, legend.pixels, (0.55, 1.75, middle - 0.4 * _LINE, middle + 0.4 * _LINE), "nearest")
    _write(axes, 0.5, middle, legend.least, ha="right", va="center")
    _write(axes, 1.8, middle, legend.most, va="center")
    _write(axes, _NOTE_LEFT, middle, "\n".join(note), va="center")


def _show(axes: Any, pixels: Pixels, box: tuple[float, float, float, float], smoothing: str) -> None:
    axes.imshow(pixels, extent=box, interpolation=smoothing, aspect="auto", origin="upper")


def _write(axes: Any, left: float, bottom: float, text: str, **options: Any) -> None:
    # Class names may hold dollar signs, which would be read as formulas.
    axes.text(left, bottom, text, fontsize=9, parse_math=False, **options)


def _wrap(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int(width * _LETTERS))
