"""What superpixel explanations and whole sets add to a report."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from synthetic import SEEDS

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.report.cases import collect
from xai_eval.report.drawing.curves import curve_panels, draw_curve
from xai_eval.report.drawing.figures import figure_files
from xai_eval.report.drawing.panels import panels
from xai_eval.report.drawing.pixels import boundaries, signed
from xai_eval.report.text.table_files import latex, table_files
from xai_eval.report.text.wording import cell_text
from xai_eval.report.write import write_report
from xai_eval.result.fields import Curve, Document, Mask, Segments, Table, Weights
from xai_eval.result.result import Case, Result

SEGMENTS = np.repeat(np.arange(4), 16)[:, None].repeat(64, axis=1)
WEIGHTS = Weights(("flamingo (130)", "crane"), np.array([[0.5, -1, 0, 0.25], [1, 1, 1, 1.0]]), np.zeros((2, 4)), SEEDS)


def cases_of(*results, goldens=()):
    obtained, known = ({r.case.key: r for r in each} for each in (results, goldens))
    return collect(obtained, known, judge_all(obtained, known), {})


@pytest.fixture
def explained(build):
    return build.result(segments=Segments(SEGMENTS), weights=WEIGHTS)


def whole_set(values=(0.2, 0.4)):
    return Result(
        Case("comparison", "scenes:objects", "birds (2 images)", {}),
        {
            "best": Document({"overall": {"name": "slic"}}),
            "study": Table(pd.DataFrame({"image": ["a_b", "c & d"], "iou": [0.5, 0.25]}), {"iou": 0.1}),
            "iou_by_area": Curve(np.array([0.1, 0.2]), {"IoU": np.array(values)}, "share", "IoU", 0.05),
        },
    )


def test_superpixels_and_their_weights_are_drawn_over_the_image(explained):
    (case,) = cases_of(explained)
    shown = {panel.title: panel for panel in panels(case)}
    assert dict(shown["superpixels"].numbers) == {"superpixels": "4"}
    drawn = shown["weights"]
    assert dict(drawn.numbers) == {
        "red: for the class": "2 superpixels",
        "blue: against it": "1 superpixel",
        "largest weight": "1",
    }
    against = drawn.pixels[20, 5].astype(int)  # the second superpixel
    assert against[2] > against[0]
    grey = drawn.pixels[40, 5]  # the third says nothing: the image in grey
    assert grey[0] == grey[1] == grey[2]


def test_weights_of_nothing_are_named_and_never_drawn(build):
    nothing = dataclasses.replace(WEIGHTS, values=np.zeros((2, 4)))
    (case,) = cases_of(build.result(segments=Segments(SEGMENTS), weights=nothing))
    (panel,) = (p for p in panels(case) if p.title == "weights")
    assert panel.pixels is None and panel.word == "all zero"


def test_borders_lie_between_superpixels_and_nowhere_else():
    image = np.full((64, 64, 3), 200, np.uint8)
    drawn = boundaries(image, SEGMENTS)
    rows = sorted({int(row) for row in np.nonzero((drawn != drawn[0, 0]).any(axis=2))[0]})
    assert rows == [16, 32, 48]


def test_signed_values_are_red_for_and_blue_against():
    drawn = signed(None, np.array([[-1.0, 0.0, 1.0]]), 1.0).astype(int)
    assert drawn[0, 0, 2] > drawn[0, 0, 0] and drawn[0, 2, 0] > drawn[0, 2, 2]
    assert np.ptp(drawn[0, 1]) == 0


def test_what_a_map_points_at_is_never_shown_as_the_object(build):
    """On an image without a mask the original stays as it is, and the other mask has a panel of its own."""
    focus = Mask(build.spot(0.2, 0.2) > 0.5)
    (case,) = cases_of(build.result(mask=None, lime_focus=focus))
    shown = {panel.title: panel for panel in panels(case)}
    np.testing.assert_array_equal(shown["original"].pixels, case.view.array)
    assert (shown["LIME, focus"].pixels != case.view.array).any()


def test_images_come_before_their_whole_set_whose_tables_are_folded_below_a_sentence(tmp_path, run, explained):
    alone = dataclasses.replace(explained, case=dataclasses.replace(explained.case, task="comparison"))
    both = {result.case.key: result for result in (alone, whole_set())}
    html = write_report(tmp_path, Judged(run.record, both, {}, judge_all(both, {}))).read_text()
    body = html[html.index("<article") :]
    assert body.index("birds/flamingo.JPEG") < body.index("birds (2 images)")
    assert "<details open>" not in body
    shows = "How far Grad-CAM and LIME mark the same pixels in each image, and what that says."
    summary = r"<details><summary>(<abbr[^>]*>)?study(</abbr>)? \(2 rows\)</summary>"
    assert re.search(rf'<p class="soft shows">{shows}</p>\s*{summary}', body)
    assert (tmp_path / "tables" / "comparison_best.json").exists()


def test_the_document_of_a_whole_set_is_a_file(tmp_path):
    files = {name: b"".join(parts) for name, parts in table_files(cases_of(whole_set())).items()}
    assert json.loads(files["comparison_best.json"]) == {"overall": {"name": "slic"}}
    assert {"comparison_study.csv", "comparison_study.md", "comparison_study.tex"} <= files.keys()


def test_latex_escapes_what_would_act():
    frame = pd.DataFrame({"a&b": ["x & y\n%", "$ ~ ^ \\ {"], "n": [1.23456, float("nan")]})
    text = latex(frame, "50 % of $a_b$", "a b_c")
    assert r"a\&b & n" in text and r"x \& y \%" in text and "1.235" in text
    assert r"\$" in text and r"\{" in text and "\\begin{tabular}{lr}" in text
    assert r"\caption{50 \% of \$a\_b\$}" in text and r"\label{tab:a-b_c}" in text


@pytest.mark.parametrize("rows", [0, 8, 48])
def test_latex_is_what_pandas_writes(rows):
    hostile = ["a\\ b\\c", "~ x~y", "^ x^y", "100 % of $5 & #1", "{a_b}", "\\textbf{x}", "größe", ""]
    frame = pd.DataFrame({"a b ^ {c}": hostile * 6, "n": range(48), "flag": [True, False] * 24})[:rows]
    text = frame.map(lambda value: " ".join(cell_text(value).split()))
    expected = text.to_latex(
        index=False, escape=True, column_format="lrl", caption="Scores", label="tab:x", longtable=rows > 40
    )
    # pandas leaves tables at the left; on every page of a long one it repeats the caption, and ends it with a line.
    ours = latex(frame, "Scores", "x").replace("\\centering\n", "")
    theirs = re.sub(r"\\endfirsthead.*?\\toprule", r"\\endfirsthead\n\\toprule", expected, flags=re.DOTALL)
    theirs = re.sub(r"\\midrule\n\\multicolumn.*?\\endlastfoot\n", "", theirs, flags=re.DOTALL)
    ours = re.sub(r"\\(begin|end)group\n", "", ours)
    assert ours == theirs.replace("\n\\end{longtable}", "\n\\bottomrule\n\\end{longtable}")


def test_columns_of_latex_are_named_in_words():
    frame = pd.DataFrame({"iou_equal_area": [0.5], "gradcam_focus": ["sky"]})
    assert "IoU at equal area & Grad-CAM focus \\\\" in latex(frame, "Scores", "x")


def test_captions_say_what_a_table_shows_and_of_which_models():
    text = b"".join(table_files(cases_of(whole_set()))["comparison_study.tex"]).decode()
    shows = "How far Grad-CAM and LIME mark the same pixels in each image, and what that says."
    same = "In all rows: input birds (2 images)."
    assert f"\\caption{{{shows} Task comparison, model scenes:objects. {same}}}" in text


def test_a_curve_is_drawn_and_filed():
    files = figure_files(cases_of(whole_set()))
    assert list(files) == ["birds-2-images_comparison_iou_by_area.png"]
    assert files["birds-2-images_comparison_iou_by_area.png"].startswith(b"\x89PNG")


def test_a_curve_that_drifted_shows_what_was_expected():
    (case,) = cases_of(whole_set((0.2, 0.9)), goldens=[whole_set()])
    (panel,) = curve_panels(case)
    alone = draw_curve(case.obtained["iou_by_area"])
    assert panel.pixels.shape == alone.shape and (panel.pixels != alone).any()


def test_equal_curves_give_equal_pixels_and_missing_values_are_left_out():
    curve = Curve(np.array([0.0, 0.5, 1.0]), {"a": np.array([0.1, float("nan"), 7.0])}, "x", "y", 0.1)
    np.testing.assert_array_equal(draw_curve(curve), draw_curve(curve))
