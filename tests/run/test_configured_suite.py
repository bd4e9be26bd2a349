"""Entries of a suite become requests, and everything that can be checked is checked before anything is computed."""

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from xai_eval import load_images
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.run.kept import NOTHING_KEPT
from xai_eval.run.run_plans import planned_record
from xai_eval.run.suite import completed, plan_all, requests_of
from xai_eval.run.suite_cases import Suite
from xai_eval.settings.settings import Entry, Settings

HERE = "xai_eval.toml, suite 1 (cams)"


def settings(**given):
    return Settings(file=Path.cwd() / "xai_eval.toml", **{"device": "cpu", **given})


def requests(*entries, **given):
    own = settings(**given)
    return requests_of([completed(each, own) for each in entries], own)


def entry(task="cams", **given):
    models, images = given.pop("models", None), given.pop("images", None)
    return Entry(task, f"xai_eval.toml, suite 1 ({task})", models, images, params=given)


def test_one_request_per_model_images_and_layer():
    found = requests(
        entry(methods=["gradcam"], layers=["layer4", "layer3"]),
        entry("lime", models=["scenes:places"]),
        models=["scenes:objects", "scenes:places"],
        images=["scenes:1", "scenes:2"],
    )
    cams = [(each.model, each.images, each.params["layer"]) for each in found if each.task == "cams"]
    assert cams == [
        (model, images, layer)
        for model in ("scenes:objects", "scenes:places")
        for images in ("scenes:1", "scenes:2")
        for layer in ("layer4", "layer3")
    ]
    assert [(each.model, each.images) for each in found if each.task == "lime"] == [
        ("scenes:places", "scenes:1"),
        ("scenes:places", "scenes:2"),
    ]
    assert all(each.device == "cpu" for each in found)


def test_what_the_file_leaves_out_is_left_to_the_task():
    (found,) = requests(entry())
    assert (found.model, found.images, found.params) == (None, None, {})


def test_layers_that_are_a_parameter_of_the_task_make_one_request():
    (found,) = requests(entry("dissection", layers=["layer4", "layer3"]))
    assert found.params == {"layers": ["layer4", "layer3"]}


def test_paths_are_those_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "words.txt").write_text("dog")
    own = Settings(file=tmp_path / "xai_eval.toml", models=["file:nets.py:mine", "scenes:objects"])
    given = entry("dissection", images=["photos", "scenes:3", "/data", "a/*.png"], concepts="words.txt", clip="none")
    found = completed(given, own)
    assert found.models == [f"file:{tmp_path}/nets.py:mine", "scenes:objects"]
    assert found.images == [f"{tmp_path}/photos", "scenes:3", "/data", f"{tmp_path}/a/*.png"]
    assert found.params == {"concepts": f"{tmp_path}/words.txt", "clip": "none"}
    monkeypatch.chdir(tmp_path)
    assert completed(given, own).images == list(given.images), "as they are written, where the file is"


def test_a_pattern_below_a_folder_with_brackets_is_still_a_pattern(tmp_path, monkeypatch):
    folder = tmp_path / "old [1]"
    (folder / "photos").mkdir(parents=True)
    monkeypatch.chdir(folder / "photos")
    Image.new("RGB", (32, 32), (9, 9, 9)).save(folder / "photos" / "one.png")
    found = completed(entry(images=["photos/*.png"]), Settings(file=folder / "xai_eval.toml"))
    assert [image.name for image in load_images(found.images[0]).images] == ["one.png"]


WRONG = {
    "unknown task": (
        [entry("cam")],
        "suite 1 (cam): unknown task 'cam'. Did you mean cams? If it is your own task, name",
    ),
    "unknown parameter": (
        [entry(method=["gradcam"])],
        f"{HERE}: unknown key 'method'. Did you mean methods or models?",
    ),
    "key of the whole file": (
        [entry(golden="goldens")],
        f"{HERE}: unknown key 'golden'. Did you mean models? golden holds for all tasks: write it above the first",
    ),
    "wrong type": ([entry(seed="many")], f"{HERE}: seed is 'many'; expected a whole number."),
    "unknown choice": ([entry("lime", segmentation="slik")], "unknown segmentation 'slik'. Did you mean slic?"),
    "layers that are none": ([entry(layers=3)], f"{HERE}: layers is 3; expected one or more texts"),
    "layer and layers": ([entry(layer="a", layers=["b"])], f"{HERE}: both layer and layers are given."),
    "twice": ([entry(), entry()], f"{HERE}: asked for twice: cams. Leave one out."),
    "twice, once as the default": ([entry(), entry(seed=0, images=["scenes"])], "asked for twice"),
    "layer twice": ([entry(layers=["a", "a"])], "asked for twice: cams, layer a."),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_before_anything_is_loaded(name):
    entries, sentence = WRONG[name]
    with pytest.raises(UsageError) as refused:
        requests(*entries)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_tolerances_of_an_unknown_task_are_refused():
    with pytest.raises(UsageError, match=r"tolerances: unknown task 'cam'. Did you mean cams\?"):
        requests(entry(), tolerances={"cam": {}})


def test_a_model_that_one_entry_cannot_use_is_named_with_its_entry():
    given = requests(
        entry(models=["scenes:objects"], methods=["gradcam"], images=["scenes:1"]),
        entry("lime", models=["scenes:nothing"], images=["scenes:1"]),
    )
    with pytest.raises((UsageError, InputUnavailable)) as refused:
        plan_all(given)
    assert str(refused.value).startswith("xai_eval.toml, suite 1 (lime), model scenes:nothing, images scenes:1: ")


def results_of(plans):
    return [result for each in plans for result in each.results]


def test_two_requests_with_the_same_case_are_refused():
    same = requests(entry(methods=["gradcam"], images=["scenes:1", "scenes:2"]))
    plans = plan_all(same)
    with pytest.raises(UsageError, match="is the case of two requests: cams, images scenes:1"):
        results_of(plans)


def test_tolerances_are_those_of_the_file():
    own = {"cams": {"gradcam": {"largest": 0.1}, "scorecam": {"largest": 0.2}, "table": {"energy_inside": 0.5}}}
    entries = [entry(methods=["gradcam"], images=["scenes:1"]), entry(methods=["scorecam"], images=["scenes:1"])]
    first, second = results_of(plan_all(requests(*entries, tolerances=own)))
    assert first["gradcam"].tolerance.largest == 0.1
    assert second["scorecam"].tolerance.largest == 0.2
    assert first["table"].tolerance["energy_inside"] == 0.5


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"gradcan": {"top": 0.5}}, "xai_eval.toml: unknown field in tolerances.cams 'gradcan'. Did you mean gradcam"),
        ({"gradcam": {"tpo": 0.5}}, "xai_eval.toml: unknown name in tolerances.cams.gradcam 'tpo'. Did you mean top"),
        (
            {"gradcam": {"largest": 0.5}},
            "xai_eval.toml: tolerances.cams.gradcam: the tolerance of the largest difference",
        ),
    ],
)
def test_a_wrong_tolerance_is_refused_while_planning(monkeypatch, tmp_path, given, sentence):
    monkeypatch.chdir(tmp_path)
    asked = requests(entry(methods=["gradcam"], images=["scenes:1"]), tolerances={"cams": given})
    with pytest.raises(UsageError) as refused:
        plan_all(asked)
    assert str(refused.value).startswith(sentence)


def test_a_wrong_tolerance_of_a_task_that_sums_up_is_refused_at_its_end():
    given = entry("hybrid", images=["scenes:1"], num_samples=20)
    asked = requests(given, tolerances={"hybrid": {"gradcan": {"top": 0.5}}})
    plans = plan_all(asked)
    with pytest.raises(UsageError, match=r"unknown field in tolerances\.hybrid 'gradcan'"):
        results_of(plans)


def test_cases_are_named_before_anything_is_computed():
    own = settings(
        models=["scenes:objects", "scenes:places"],
        images=["scenes:2"],
        suite=[
            entry(methods=["gradcam"], layers=["layer4"]),
            entry(methods=["scorecam"], layers=["layer4"]),
            entry("hybrid", models=["scenes:objects"]),
            entry("dissection", models=["scenes:objects"], images=["scenes:8"]),
        ],
    )
    names = [each.name for each in Suite(own).cases]
    assert names[:4] == [
        f"cams-scenes:{model}-layer4-scenes/scene-0{number}" for model in ("objects", "places") for number in (0, 1)
    ]
    assert names[4] == "cams-scenes:objects-layer4-scenes/scene-00 (2)"
    assert names[8:] == [
        "hybrid-scenes:objects-scenes/scene-00",
        "hybrid-scenes:objects-scenes/scene-01",
        "hybrid-scenes:objects-scenes whole set",
        "dissection-scenes:objects",
    ]
    assert len(set(names)) == len(names)


def test_a_case_alone_is_the_case_of_the_whole_run():
    given = entry(methods=["gradcam"], images=["scenes:2"])
    suite = Suite(settings(suite=[given]))
    alone = [result for case in suite.cases for result in suite.compute(case).results]
    whole = results_of(plan_all(requests(given)))
    assert [each.case for each in alone] == [each.case for each in whole]
    for one, other in zip(alone, whole, strict=True):
        assert {k: v.digest for k, v in one.stages.items()} == {k: v.digest for k, v in other.stages.items()}
        assert dataclasses.asdict(one.provenance) == dataclasses.asdict(other.provenance)


def test_a_task_that_sums_up_gives_each_case_its_own_result():
    suite = Suite(settings(suite=[entry("hybrid", images=["scenes:2"], num_samples=20)]))
    found = [[result.case.input for result in suite.compute(case).results] for case in suite.cases]
    assert found == [["scenes/scene-00"], ["scenes/scene-01"], ["scenes (2 images)"]]


def test_a_file_without_a_suite_has_no_cases():
    with pytest.raises(UsageError, match=r"has no \[\[suite\]\]"):
        Suite(settings())


def test_tests_of_a_suite_are_told_which_images_were_left_out(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 30)).save(photos / "a.png")
    (photos / "notes.txt").write_text("no image")
    given = settings(suite=[entry(images=[str(photos)])])
    assert [case.image for case in Suite(given).cases] == ["a.png"]  # text is told by a run, and is no warning
    (photos / "b.heic").write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"photos: 1 left out \(HEIC: .*: b\.heic"):
        assert len(Suite(given).cases) == 1
    (plan,) = plan_all(requests(entry(images=[str(photos)])))
    assert not plan.complete


@pytest.mark.slow
def test_a_set_that_one_entry_uses_whole_is_no_selection_although_another_names_one_image(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(photos / name)
    whole, one = entry(images=[str(photos)]), entry("lime", images=[str(photos / "a.png")], num_samples=10, seeds=1)
    assert planned_record(plan_all(requests(whole, one)), NOTHING_KEPT).selections == ()
    assert planned_record(plan_all(requests(one)), NOTHING_KEPT).selections == ("photos",)
    for suite, complete in (([whole, one], True), ([one], False)):
        tests = Suite(settings(suite=suite))
        assert tests.compute(tests.cases[-1]).complete is complete


def test_a_request_is_told_as_people_write_it():
    (request,) = requests(entry("lime_search", models=["scenes:objects"], grid={"num_samples": [500, 1000]}))
    assert request.words == "lime_search, model scenes:objects, grid num_samples=500,1000"
    (request,) = requests(entry(methods=["gradcam", "layercam"]))
    assert request.words == "cams, methods gradcam layercam"
