"""What a dissection adds to a report: units with their top images, a filter, and the study's figures."""

import dataclasses
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic import unit_labels

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.report.cases import collect
from xai_eval.report.drawing.dissection_figures import dissection_figures
from xai_eval.report.drawing.figures import figure_files
from xai_eval.report.drawing.layer_bars import concept_counts, layer_bars, shares
from xai_eval.report.drawing.score_figures import similarity_distribution
from xai_eval.report.drawing.unit_figures import unit_strips
from xai_eval.report.page.unit_rows import concepts_of, layer_views
from xai_eval.report.text.table_files import table_files
from xai_eval.report.write import write_report
from xai_eval.result.fields import Gallery, InputImage, Label, Measures, Tally, UnitLabels
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


def test_units_are_sorted_by_the_score_of_the_last_method_in_each_layer():
    units = unit_labels().frame.assign(layer=["layer3", "layer4", "layer4"], score=[0.2, 0.5, float("nan")])
    by_pixels = units.assign(score=[0.1, float("nan"), 0.3], label=["car", None, "sea"])
    result = dissected()
    fields = {**result.fields, "clip_units": UnitLabels(units, 0.05), "pixel_units": UnitLabels(by_pixels, 0.01)}
    (case,) = cases_of(dataclasses.replace(result, fields=fields))
    assert [(layer.name, [unit.name for unit in layer.units]) for layer in layer_views(case)] == [
        ("layer3", ["layer4/0"]),
        ("layer4", ["layer4/2", "layer4/1"]),
    ]


def in_doubt():
    """Three units: the first is sure, the second is not interpretable, the third may be chance."""
    frame = unit_labels(label=["car", "tree", "sea"], score=[0.2, 0.03, 0.1], dead=[False] * 3).frame.assign(
        interpretable=[True, False, True], false_discovery_rate=[0.01, 0.04, 0.2]
    )
    limits = Measures.of({"interpretable from": 0.04, "false discovery rate up to": 0.05}, {})
    result = dissected()
    return dataclasses.replace(
        result, fields={**result.fields, "pixel_units": UnitLabels(frame, 0.01), "thresholds": limits}
    )


def test_labels_in_doubt_are_pale_and_say_why(tmp_path):
    (case,) = cases_of(in_doubt())
    badly, chance = "not interpretable: IoU below 0.04", "may be chance: false discovery rate above 0.05"
    (layer,) = layer_views(case)
    assert [(unit.labels[1].label, unit.labels[1].doubt) for unit in layer.units] == [
        ("car", ""),
        ("sea", chance),
        ("tree", badly),
    ]
    written = {text.get_text(): text.get_color() for text in unit_strips(case).axes[0].texts}
    assert written["pixel labels: car 0.2"] == "black"
    assert written[f"pixel labels: sea 0.1 ({chance})"] == written[f"pixel labels: tree 0.03 ({badly})"] == "0.45"
    obtained = {case.obtained.case.key: case.obtained}
    record = RunRecord(("dissection",), ("m",), ("scenes",), 1)
    html = write_report(tmp_path, Judged(record, obtained, {}, judge_all(obtained, {}))).read_text()
    assert re.findall(r'<td class="doubt"><strong>(.*?)</strong> <span class="soft">\((.*?)\)', html) == [
        ("sea", chance),
        ("tree", badly),
    ]


def test_axes_of_layer_bars_end_alike_in_all_models_and_hold_every_bar():
    few, many = dissected(), dissected("scenes:places", label=["sea", "sea", "sea"], dead=[False] * 3)
    figures = [figure for _, figure in layer_bars(cases_of(few, many))]
    for place in range(4):
        first, second = (figure.axes[place] for figure in figures)
        assert first.get_xlim() == second.get_xlim()
    for figure, labels in zip(figures, (few["clip_units"], many["clip_units"]), strict=True):
        counts = concept_counts(labels.frame)
        assert [bar.get_width() for bar in figure.axes[0].patches] == counts["layer4"].tolist()
        assert figure.axes[1].lines[0].get_xdata().tolist() == shares(counts)["layer4"].tolist()
        assert figure.axes[0].get_xlim()[1] >= counts.sum(axis=1).max()
    assert shares(concept_counts(many["clip_units"].frame)).loc["sea"].tolist() == [100.0]


def test_only_scores_that_compare_share_an_axis():
    """By CLIP, each model and layer has an axis of its own; by pixels, all have the same."""
    one, other = dissected(), dissected("scenes:places", score=[90.0, 50.0, float("nan")])
    limits = {"thresholds": Measures.of({"interpretable from": 0.04}, {})}
    every = [dataclasses.replace(each, fields={**each.fields, **limits}) for each in (one, other)]
    figure = similarity_distribution(cases_of(*every))
    by_name = {}
    for panel in figure.get_axes():
        by_name.setdefault(panel.get_xlabel(), []).append(panel)
    by_clip, by_pixels = by_name["score by CLIP"], by_name["IoU"]
    assert [len(by_clip), len(by_pixels)] == [2, 2]
    assert by_clip[0].get_xlim()[1] < 1 < 50 < by_clip[1].get_xlim()[1]
    assert by_pixels[0].get_xlim() == by_pixels[1].get_xlim()
    for panel in (*by_clip, *by_pixels):
        assert panel.patches[0].get_data().values.sum() == 2  # the dead unit has no score
    # From here on a label counts as interpretable, which is said of IoU alone.
    assert [list(line.get_xdata()) for panel in by_pixels for line in panel.lines] == [[0.04, 0.04]] * 2
    assert not any(panel.lines for panel in by_clip)


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
        "scenes-objects_units.png",
        "scenes-places_units.png",
        "similarity_distribution.png",
        "image_interpretation.png",
    }


def test_units_are_counted_by_concept_and_layer():
    labels = ["car", "car", "tree", None, "car"]
    frame = pd.DataFrame({"label": labels, "layer": ["layer3", "layer4", "layer4", "layer4", "layer4"]})
    counts = concept_counts(frame)
    assert counts.loc["car"].to_dict() == {"layer3": 1, "layer4": 2}
    assert counts.loc["(not interpretable)"].to_dict() == {"layer3": 0, "layer4": 1}
    assert counts.index[0] == "car"


def test_many_concepts_are_folded_and_none_is_lost():
    frame = pd.DataFrame({"label": [f"c{i % 60}" for i in range(130)], "layer": "layer4"})
    counts = concept_counts(frame)
    assert len(counts) == 25 and counts.index[-1] == "36 more"
    assert counts["layer4"].sum() == 130


@pytest.mark.parametrize("score", [[0.5, 0.5, 0.5], [float("nan")] * 3])
def test_scores_without_spread_can_be_drawn(score):
    dead = [bool(np.isnan(each)) for each in score]
    cases = cases_of(dissected(score=score, dead=dead))
    assert "similarity_distribution" in dissection_figures(cases)
    figure_files(cases)


def test_units_are_tables_too():
    files = {name: b"".join(parts) for name, parts in table_files(cases_of(dissected())).items()}
    assert files["dissection_clip_units.csv"].decode().splitlines()[1].startswith("scenes (4 images),layer4/0,car,0.9")


@pytest.mark.parametrize(
    ("change", "layer"),
    [
        (lambda frame: frame[["unit", "label", "score", "second", "margin"]], "layer4"),
        (lambda frame: frame.assign(layer=3, dead="no", interpretable=0.5, false_discovery_rate="often"), "3"),
    ],
    ids=["no columns for reading", "others than a dissection has"],
)
def test_labels_of_units_of_another_task_are_shown(change, layer):
    usual = dissected()
    labels = UnitLabels(change(usual.fields["clip_units"].frame), 0.01)
    (case,) = cases_of(Result(usual.case, {**usual.fields, "clip_units": labels, "pixel_units": labels}))
    (view,) = layer_views(case)
    assert view.name == layer
    assert not any(unit.dead or each.doubt for unit in view.units for each in unit.labels)
    assert len(dict(figure_files([case]))) > 2
