"""Figures as SVG and PDF beside PNG: the same every time, and without a date."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from xai_eval.gate.judge import missing
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.figures import figure_files
from xai_eval.result.fields import Curve, Label

pytestmark = pytest.mark.slow


def drawn(build, formats):
    curve = Curve(np.array([0.0, 1.0]), {"a": np.array([0.0, 1.0])}, "x", "y", 0.1)
    alone = dict.fromkeys(["scorecam", "gradcam++", "mask"])
    result = build.result("a.JPEG", **alone, predicted=Label(f"{build.HOSTILE} \udcff 火", 1), sweep=curve)
    return figure_files([ReportCase(missing(result.case), result, None)], formats)


@pytest.fixture(scope="module")
def files(build):
    return drawn(build, ("png", "svg", "pdf"))


def test_every_figure_is_there_in_every_format(files):
    assert set(files) == {f"a_{name}.{end}" for name in ("vis_130", "vis_sweep") for end in ("png", "svg", "pdf")}


def test_files_depend_on_nothing_but_the_case(build, files):
    again = drawn(build, ("pdf", "svg"))
    assert again == {name: file for name, file in files.items() if not name.endswith("png")}


def test_vector_files_hold_neither_date_nor_program(files):
    for name, file in files.items():
        assert not re.search(rb"CreationDate|dc:date|dc:creator|/Producer|20\d\d-\d\d-\d\d", file), name


def test_names_are_text_in_svg_and_nothing_acts(files):
    for name in ("a_vis_130.svg", "a_vis_sweep.svg"):
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(files[name]).iter()}
        assert not tags & {"script", "foreignObject", "a"}


def test_pdf_files_are_whole_and_hold_their_letters_as_fonts(files):
    for name in ("a_vis_130.pdf", "a_vis_sweep.pdf"):
        assert files[name].startswith(b"%PDF-") and files[name].rstrip().endswith(b"%%EOF")
        assert b"/TrueType" in files[name] or b"/CIDFontType2" in files[name]
