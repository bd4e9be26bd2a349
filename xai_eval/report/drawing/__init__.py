"""Figures of fields and results."""

from xai_eval.report.drawing.own_style import import_matplotlib

import_matplotlib()
