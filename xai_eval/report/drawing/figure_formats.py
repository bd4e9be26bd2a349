"""A drawn figure as a file: PNG, SVG or PDF. Equal figures give equal bytes: no dates, and no random names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xai_eval.report.drawing.any_script import any_script

# PNG is what the page and reviews need. The others take longer than everything else of a report, so they are asked for.
DEFAULT = ("png",)
FORMATS = (*DEFAULT, "svg", "pdf")
# Files are a tenth larger than at level 3, and a report takes a fifteenth less time.
_FAST = {"compress_level": 1}
# Images keep their own pixels in vector files. Letters stay letters in PDF (fonts of type 42, as journals want them).
_VECTOR: dict[Any, Any] = {"svg.hashsalt": "xai_eval", "image.composite_image": False, "pdf.fonttype": 42}
_NAMELESS: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_DPI = 220  # of images that are enlarged with smoothing, in vector files


def encoded(figure: Figure, formats: Sequence[str]) -> dict[str, bytes]:
    """Write a figure in each of `formats`, of `FORMATS`, and free it; format -> file."""
    with any_script():
        files = {"png": _png(figure)}
        # What was laid out for the first file stays as it is, so that all show the same.
        figure.set_layout_engine("none")
        files |= {each: _vector(figure, each) for each in formats if each != "png"}
    # Figure and canvas refer to each other, so that their pixels would stay until Python looks for such circles.
    figure.clear()
    return {each: files[each] for each in formats}


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None}, pil_kwargs=_FAST)
    del canvas.renderer
    return buffer.getvalue()


def _vector(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(_VECTOR):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=_NAMELESS[kind])
    return buffer.getvalue()
