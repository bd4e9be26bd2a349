"""Which images a case is shown with."""

from __future__ import annotations

import copy

from xai_eval.gate.judge import missing
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.panels import panels
from xai_eval.result.result import Result


def test_what_is_read_anew_at_every_look_is_shown_once(build):
    """Results stay on disk, and of many only the last are held."""
    result = build.result()

    class Anew(dict):
        def __getitem__(self, name):
            return copy.copy(super().__getitem__(name))

        def items(self):
            return [(name, self[name]) for name in self]

    stored = Result(result.case, Anew(result.fields), provenance=result.provenance)
    shown = [panel.title for panel in panels(ReportCase(missing(stored.case), stored, None))]
    assert shown == [panel.title for panel in panels(ReportCase(missing(result.case), result, None))]
    assert shown == ["original", "Grad-CAM", "ScoreCAM", "Grad-CAM++"]
