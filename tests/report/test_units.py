"""What a dissection adds to a report: units with their top images, a filter, and the study's figures."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic import unit_labels

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.report.cases import collect
from xai_eval.report.drawing.dissection_figures import _counts, dissection_figures
from xai_eval.report.drawing.figures import figure_files
from xai_eval.report.page.unit_rows import concepts_of, layer_views
from xai_eval.report.text.table_files import table_files
from xai_eval.report.write import write_report
from xai_eval.result.fields import Gallery, InputImage, Label, Tally, UnitLabels
from xai_eval.result.result import Case, Result
from xai_eval.store.runs import RunRecord

HOSTILE = '"><script>alert(1)</script>'


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 16, 3), 90, np.uint8)).save(buffer, "jpeg")
    return buffer.getvalue()


def dissected(model="scenes:objects", **columns):
    units = unit_labels(**columns)
    names = list(units.frame["unit"])
    frame = pd.DataFrame({"unit": names[:2], "label": ["car", None], "deviations": [2.5, 1.0]})
    fields = {
        "image": InputImage(np.full((16, 16, 3), 120, np.uint8)),
        "interpreted": Label("scene-1"),
        "interpretation": Tally(frame, cut=True),
        "clip_units": units,
        "pixel_units": UnitLabels(units.frame.assign(label=["car", None, None]), 0.01),
        "top_images": Gallery({name: jpeg() for name in names}),
    }
    return Result(Case("dissection", model, "scenes (4 images)", {}), fields)


def cases_of(*results, goldens=()):
    obtained, known = ({r.case.key: r for r in each} for each in (results, goldens))
    return collect(obtained, known, judge_all(obtained, known), {})


def test_a_row_a_unit_with_both_methods_side_by_side():
    (case,) = cases_of(dissected())
    (layer,) = layer_views(case)
    assert (layer.name, layer.methods) == ("layer4", ("CLIP", "pixel labels"))
    car, tree, dead = layer.units
    assert [each.label for each in car.labels] == ["car", "car"]
    assert dict(car.labels[0].numbers) == {"score": "0.9", "margin": "0.4"}
    assert [each.label for each in tree.labels] == ["tree", ""]
    assert dead.dead and not car.dead
    assert car.strip.startswith("data:image/jpeg;base64,")
    assert concepts_of([layer]) == ("car", "tree")


def test_a_label_that_changed_stands_beside_what_was_expected():
    golden = dissected().condensed()
    (case,) = cases_of(dissected(label=["boat", "tree", None]), goldens=[golden])
    (layer,) = layer_views(case)
    assert [each.expected for each in layer.units[0].labels] == ["car", None]
    assert [each.expected for each in layer.units[1].labels] == [None, None]


def test_cases_without_units_have_no_such_section(build):
    (case,) = cases_of(build.result())
    assert layer_views(case) == ()


def test_hostile_labels_are_text_on_the_page(tmp_path):
    result = dissected(label=[HOSTILE, "tree", None])
    obtained = {result.case.key: result}
    record = RunRecord(("dissection",), ("m",), ("scenes",), 1)
    page = write_report(tmp_path, Judged(record, obtained, {}, judge_all(obtained, {})))
    text = page.read_text()
    assert HOSTILE not in text
    assert text.count("&lt;script&gt;alert(1)") >= 2  # in the table and in the filter
    assert text.count('class="strip"') == 3


def test_figures_have_the_names_of_the_study():
    cases = cases_of(dissected(), dissected("scenes:places", label=["sea", "sand", None]))
    assert set(figure_files(cases)) == {
        "scenes-objects_layer_concepts.png",
        "scenes-places_layer_concepts.png",
        "similarity_distribution.png",
        "image_interpretation.png",
    }


def test_units_are_counted_by_concept_and_layer():
    labels = ["car", "car", "tree", None, "car"]
    frame = pd.DataFrame({"label": labels, "layer": ["layer3", "layer4", "layer4", "layer4", "layer4"]})
    counts = _counts(frame)
    assert counts.loc["car"].to_dict() == {"layer3": 1, "layer4": 2}
    assert counts.loc["(not interpretable)"].to_dict() == {"layer3": 0, "layer4": 1}
    assert counts.index[0] == "car"


def test_many_concepts_are_folded_and_none_is_lost():
    frame = pd.DataFrame({"label": [f"c{i % 60}" for i in range(130)], "layer": "layer4"})
    counts = _counts(frame)
    assert len(counts) == 25 and counts.index[-1] == "36 more"
    assert counts["layer4"].sum() == 130


@pytest.mark.parametrize("score", [[0.5, 0.5, 0.5], [float("nan")] * 3])
def test_scores_without_spread_can_be_drawn(score):
    dead = [bool(np.isnan(each)) for each in score]
    cases = cases_of(dissected(score=score, dead=dead))
    assert "similarity_distribution" in dissection_figures(cases)
    figure_files(cases)


def test_units_are_tables_too():
    files = table_files(cases_of(dissected()))
    assert files["dissection_clip_units.csv"].decode().splitlines()[1].startswith("scenes (4 images),layer4/0,car,0.9")
