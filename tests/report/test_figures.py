from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from xai_eval.gate.judge import judge_all
from xai_eval.report.cases import collect
from xai_eval.report.drawing.comparisons import comparison
from xai_eval.report.drawing.figures import figure_files, figure_names
from xai_eval.report.drawing.panels import panels
from xai_eval.report.drawing.pixels import diverging, enlarge, outline, overlay
from xai_eval.result.fields import Label


def cases_of(obtained, goldens=()):
    now = {result.case.key: result for result in obtained}
    was = {golden.case.key: golden.condensed() for golden in goldens}
    return collect(now, was, judge_all(now, was), {})


def test_every_case_with_maps_and_every_drift_has_a_figure(run):
    names = {path.name for path in (run.folder / "figures").iterdir()}
    drawn = {
        "same_vis_130",
        "moved_vis_130",
        "renamed_vis_999",
        "empty_vis_130",
        "surer_vis_130",
        "other_vis_130",
    }
    drifts = {"moved_drift_gradcam", "empty_drift_scorecam"}
    assert names == {f"{name}.png" for name in drawn | drifts | {"new_vis_130"}}


def test_figures_have_the_size_of_their_panels(run):
    for path in (run.folder / "figures").iterdir():
        image = Image.open(path)
        cells = 3 if "drift" in path.name else 4
        assert image.width == pytest.approx(cells * 286, abs=2)
        assert 300 < image.height < 600
        assert np.asarray(image.convert("L")).std() > 10


def test_two_models_on_one_image_get_names_of_their_own(build):
    cases = cases_of([build.result(), build.result(model="torchvision:resnet50"), build.result("owl.JPEG")])
    names = figure_names(cases)
    assert len(set(names.values())) == 3
    assert names[cases[2].key, None] == "owl_vis_130"
    for case in cases[:2]:
        assert names[case.key, None] == f"flamingo_vis_130-{case.verdict.case.id[-10:]}"


def test_upper_and_lower_case_do_not_overwrite_each_other(build):
    names = figure_names(cases_of([build.result("Owl.JPEG"), build.result("owl.JPEG")]))
    assert len({name.lower() for name in names.values()}) == 2


def test_methods_that_differ_in_a_sign_keep_their_figures_apart(build):
    moved = {name: build.heat(build.spot(0.9, 0.1)) for name in ("gradcam", "gradcam++")}
    files = figure_files(cases_of([build.result(**moved)], [build.result()]))
    assert {"flamingo_drift_gradcam.png", "flamingo_drift_gradcamplusplus.png"} <= set(files)


def test_hostile_names_are_drawn_as_text(build):
    names = (build.HOSTILE, "$\\frac{", "half \udcff", "火烈鸟", "x" * 400)
    results = [build.result(f"{i}.JPEG", predicted=Label(name, 1)) for i, name in enumerate(names)]
    for data in figure_files(cases_of(results)).values():
        assert Image.open(io.BytesIO(data)).format == "PNG"


def test_figures_do_not_touch_the_global_state_of_matplotlib(build):
    import matplotlib.pyplot as plt

    figure_files(cases_of([build.result()]))
    assert plt.get_fignums() == []


def test_equal_cases_give_equal_bytes(build):
    assert figure_files(cases_of([build.result()])) == figure_files(cases_of([build.result()]))


@pytest.mark.parametrize(("value", "word"), [(0.0, "all zero"), (0.5, "constant"), (np.nan, "NaN")])
def test_a_map_without_meaning_is_named_and_never_drawn(build, value, word):
    flat = build.heat(np.full((build.SIDE, build.SIDE), value, np.float32))
    case = cases_of([build.result(scorecam=flat)], [build.result()])[0]
    panel = next(each for each in panels(case) if each.title == "ScoreCAM")
    drift = comparison(case, "scorecam")
    assert (panel.pixels, panel.word) == (None, word)
    assert (drift.obtained.pixels, drift.obtained.word) == (None, word)
    assert drift.expected.pixels is not None
    assert (drift.difference.pixels, drift.limit) == (None, None)


def test_the_difference_has_its_signs_and_states_its_scale(build):
    now, was = build.spot(0.75, 0.75, 0.1), build.spot(0.25, 0.25, 0.1)
    case = cases_of([build.result(gradcam=build.heat(now))], [build.result(gradcam=build.heat(was))])[0]
    drift = comparison(case, "gradcam")
    pixels = drift.difference.pixels.astype(int)
    assert pixels.shape == (56, 56, 3)
    assert pixels[42, 42, 0] > pixels[42, 42, 2] + 50, "hotter now must be red"
    assert pixels[14, 14, 2] > pixels[14, 14, 0] + 50, "colder now must be blue"
    assert drift.limit == 0.5
    assert float(dict(drift.difference.numbers)["largest"]) == pytest.approx(1.0, abs=0.05)


def test_a_small_difference_stays_pale(build):
    stripes = 0.06 * np.sin(np.arange(build.SIDE))[None].astype(np.float32)
    shaken = build.heat(np.clip(build.spot(0.3, 0.3) + stripes, 0, 1))
    drift = comparison(cases_of([build.result(gradcam=shaken)], [build.result()])[0], "gradcam")
    assert drift.limit == 0.5
    assert drift.difference.pixels.min() > 200
    assert float(dict(drift.difference.numbers)["largest"]) == pytest.approx(0.06, abs=0.005)


def test_cold_places_show_the_image_in_dimmed_grey():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200
    saliency = np.zeros((4, 4))
    saliency[0, 0] = 1.0
    drawn = overlay(image, saliency)
    assert np.ptp(drawn[2, 2].astype(int)) == 0
    # 40 % of the lightness of the grey that ITU-R BT.601 makes of the red.
    as_grey = rgb2lab(np.full((1, 1, 3), np.rint(0.299 * 200) / 255))[0, 0, 0]
    assert rgb2lab(drawn)[2, 2, 0] == pytest.approx(0.4 * as_grey, abs=0.5)
    assert np.ptp(drawn[0, 0].astype(int)) > 40, "heat has a colour"
    assert rgb2lab(drawn)[0, 0, 0] > rgb2lab(drawn)[2, 2, 0] + 50, "and light"


def test_zero_difference_is_white():
    assert diverging(np.zeros((2, 2)), 0.5).min() > 240


def test_enlarging_keeps_the_hot_place():
    saliency = np.zeros((7, 7), np.float16)
    saliency[5, 1] = 1.0
    large = enlarge(saliency, (224, 112))
    assert large.shape == (224, 112)
    row, column = np.unravel_index(large.argmax(), large.shape)
    assert (row // 32, column // 16) == (5, 1)


def test_an_outline_leaves_inside_and_outside_alone():
    image = np.full((20, 20, 3), 100, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[4:16, 4:16] = True
    drawn = outline(image, mask)
    assert (drawn[9:11, 9:11] == 100).all()
    assert (drawn[:2] == 100).all()
    assert drawn[4, 10].tolist() == [0, 255, 255]
    assert drawn[3, 10].tolist() == [0, 0, 0]
    assert (image == 100).all()
