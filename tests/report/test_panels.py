"""Which images a case is shown with."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from xai_eval.gate.judge import missing
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.panels import panels
from xai_eval.result.fields import SignedMap
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


def panel_of(build, saliency):
    result = build.result(saliency=SignedMap(saliency))
    return next(each for each in panels(ReportCase(missing(result.case), result, None)) if each.title == "saliency")


@pytest.mark.parametrize("unit", [1e-300, 1e-6, 1.0, 1e6, 1e300])
def test_a_signed_map_is_red_for_the_class_and_blue_against_it_whatever_its_range(build, unit):
    panel = panel_of(build, unit * (build.spot(0.2, 0.2) - build.spot(0.8, 0.8)).astype(float))
    red = panel.pixels[..., 0].astype(int) - panel.pixels[..., 2]
    assert red[13, 13] > 50 and red[51, 51] < -50 and abs(red[13, 51]) < 5
    assert "red speaks for it, blue against it, strongest 21% from the left and 21% from the top" in panel.alt
    assert ("largest value", f"{unit:.2g}") in panel.numbers


def test_a_signed_map_that_means_nothing_is_named_and_not_drawn(build):
    panel = panel_of(build, np.zeros((build.SIDE, build.SIDE)))
    assert (panel.pixels, panel.word) == (None, "all zero")
