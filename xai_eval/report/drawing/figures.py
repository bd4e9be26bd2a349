"""Figure files (PNG) of the report: images beside their maps; drifts as expected, obtained and difference."""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xai_eval.media.figure_text import plain
from xai_eval.report.cases import AUDIT, ReportCase
from xai_eval.report.drawing.any_script import any_script
from xai_eval.report.drawing.comparisons import Comparison, comparison
from xai_eval.report.drawing.curves import curve_panels
from xai_eval.report.drawing.dissection_figures import dissection_figures
from xai_eval.report.drawing.own_style import own_style
from xai_eval.report.drawing.panels import Panel, panels
from xai_eval.report.drawing.pixels import Pixels, diverging_legend, heat_legend, png_bytes, signed_legend
from xai_eval.report.text.wording import slug
from xai_eval.result.fields import Curve, Heatmap, SignedMap

_CELL = 2.6  # inches
_COLUMNS = 6
_GAP = 0.06
_LINE = 0.2  # inches that a line of text takes
_LETTERS = 13  # that fit on an inch
_DPI = 110
_SENTENCE = 1_000  # characters of one line of the caption, before it is wrapped
_FAST = {"compress_level": 3}
_HEAT_NOTE = "0 to 1, each map scaled on its own: compare places within a map, not strengths between maps"
_SIGNED_NOTE = (
    "red speaks for the class, blue against it, the strongest 2 % in the deepest colour, each map scaled on its own: "
    "compare places within a map, not strengths between maps"
)


@own_style()
def figure_files(cases: Sequence[ReportCase]) -> dict[str, bytes]:
    """Draw every figure of `cases`; file name -> PNG."""
    names = figure_names(cases)
    files: dict[str, bytes] = {}
    for case in map(ReportCase.unloaded, cases):
        if case.maps:
            files[names[case.key, None]] = _draw_panels(panels(case), _caption(case), _legends(case))
        for field in case.changed_fields:
            files[names[case.key, field]] = _draw_comparison(case, comparison(case, field))
        for field, panel in zip(case.fields(Curve), curve_panels(case), strict=True):
            assert panel.pixels is not None
            files[names[case.key, field]] = png_bytes(panel.pixels)
    return files | {f"{name}.png": _to_png(figure) for name, figure in dissection_figures(cases).items()}


def figure_names(cases: Sequence[ReportCase]) -> dict[tuple[str, str | None], str]:
    """Name the figures: by case key and None for the maps, by case key and field for a drift or a curve.

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
        place: f"{name}-{place[0].rsplit('-', 1)[-1]}.png" if taken[name.lower()] > 1 else f"{name}.png"
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


def _draw_comparison(case: ReportCase, drift: Comparison) -> bytes:
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
    """Return the scales of the kinds of maps that a case has."""
    kinds = {type(each) for each in case.maps.values()}
    heat = [_Legend(heat_legend(), "0", "1", _HEAT_NOTE)] if Heatmap in kinds else []
    return [*heat, *([_Legend(signed_legend(), "-", "+", _SIGNED_NOTE)] if SignedMap in kinds else [])]


def _draw_panels(shown: Sequence[Panel], caption: Sequence[str], legends: Sequence[_Legend]) -> bytes:
    """Lay out by hand, in inches from the lower left: cells, scale, caption; its own layouts are slow."""
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    width = max(columns, 2) * _CELL  # one panel alone leaves no place for text
    lines = [part for line in caption for part in _wrap(line, width)]
    below = _LINE * (len(lines) + 1 + 1.5 * len(legends))
    figure, axes = _canvas(width, below + rows * (_CELL + _LINE))
    for index, panel in enumerate(shown):
        row, column = divmod(index, columns)
        _draw_panel(axes, panel, column * _CELL + _GAP, below + (rows - 1 - row) * (_CELL + _LINE))
    for number, legend in enumerate(legends):
        _draw_scale(axes, below - _LINE * (1 + 1.5 * number), width, legend)
    for number, line in enumerate(lines):
        _write(axes, _GAP, _LINE * (len(lines) - number - 0.3), line)
    return _to_png(figure)


def _canvas(width: float, height: float) -> tuple[Any, Any]:
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


def _draw_scale(axes: Any, middle: float, width: float, legend: _Legend) -> None:
    _show(axes, legend.pixels, (0.55, 1.75, middle - 0.3 * _LINE, middle + 0.3 * _LINE), "nearest")
    _write(axes, 0.5, middle, legend.least, ha="right", va="center")
    _write(axes, 1.8, middle, legend.most, va="center")
    _write(axes, 2.35, middle, "\n".join(_wrap(plain(legend.note, _SENTENCE), width - 2.4)), va="center")


def _show(axes: Any, pixels: Pixels, box: tuple[float, float, float, float], smoothing: str) -> None:
    axes.imshow(pixels, extent=box, interpolation=smoothing, aspect="auto", origin="upper")


def _write(axes: Any, left: float, bottom: float, text: str, **options: Any) -> None:
    # Class names may hold dollar signs, which would be read as formulas.
    axes.text(left, bottom, text, fontsize=9, parse_math=False, **options)


def _wrap(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, int(width * _LETTERS))


def _to_png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with any_script():
        canvas = FigureCanvasAgg(figure)
        canvas.print_png(buffer, metadata={"Software": None}, pil_kwargs=_FAST)
    # Figure and canvas refer to each other, so that their pixels would stay until Python looks for such circles.
    figure.clear()
    del canvas.renderer
    return buffer.getvalue()
