import numpy as np
import pytest

from xai_eval import evaluate, load_model
from xai_eval.errors import UsageError
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.images.labelled import ImageSet
from xai_eval.metrics.comparison import POLICIES
from xai_eval.tasks.studies.study_table import study_ious

FEW = {"num_samples": 60, "images": "scenes:2", "device": "cpu"}


@pytest.fixture(scope="module")
def model():
    return load_model("scenes:objects", device="cpu")


@pytest.fixture(scope="module")
def compared(model):
    return evaluate("comparison", model=model, **FEW)


def test_there_is_one_result_per_image_and_one_for_the_set(compared):
    assert [result.case.input for result in compared] == ["scenes/scene-00", "scenes/scene-01", "scenes (2 images)"]


def test_masks_have_equal_areas_and_the_scores_are_computed_from_them(compared):
    for result in compared[:-1]:
        cam, lime = result["gradcam_focus"].array, result["lime_focus"].array
        assert cam.sum() == lime.sum()
        assert result["iou"].value == pytest.approx((cam & lime).sum() / (cam | lime).sum())
        assert result["dice"].value == pytest.approx(2 * (cam & lime).sum() / (cam.sum() + lime.sum()))


def test_the_table_of_the_study_sums_up_the_images(compared):
    table = compared[-1]["study"].frame
    assert list(table.columns) == ["image", "gradcam_focus", "lime_focus", "iou", "insight"]
    assert table["iou"].tolist() == [result["iou"].value for result in compared[:-1]]
    assert table["insight"].tolist() == [result["insight"].text for result in compared[:-1]]
    means = compared[-1]["measures"].frame.set_index("measure")
    assert means.loc["iou", "mean"] == pytest.approx(table["iou"].mean())
    curves = [result["iou_by_area"].lines["IoU"] for result in compared[:-1]]
    np.testing.assert_allclose(compared[-1]["iou_by_area"].lines["IoU"], np.mean(curves, axis=0))


def test_focus_names_the_concepts_under_the_hot_area(compared):
    shares = compared[0]["concepts"].frame.set_index("concept")
    focus = compared[0]["methods"].frame.set_index("method")["focus"]
    best = shares["lime"].idxmax()
    assert focus["lime"].startswith(best)
    assert f"{shares.loc[best, 'lime']:.0%}" in focus["lime"]


def test_times_are_shown_and_not_judged(compared):
    assert (compared[0]["methods"].frame["seconds"] > 0).all()
    assert "seconds" not in compared[0].condensed()["methods"].frame
    for result in compared:
        assert judge(result, result.condensed()).state is State.OK


@pytest.mark.parametrize("policy", POLICIES)
def test_the_policy_is_recorded(model, policy):
    result = evaluate("comparison", model=model, **{**FEW, "images": "scenes:1"}, policy=policy)[0]
    assert result.case.params["policy"]["name"] == policy


@pytest.mark.parametrize("wrong", [{"policy": "thirds"}, {"area": 2.0}, {"num_samples": 0}, {"target": "dragon"}])
def test_bad_parameters_are_refused(model, wrong):
    with pytest.raises(UsageError):
        evaluate("comparison", model=model, **{**FEW, **wrong})


def test_the_study_s_average_is_not_the_mean_of_its_rows():
    published = study_ious()
    assert len(published) == 10
    assert np.mean(list(published.values())) == pytest.approx(0.288)
    assert published["flamingo"] == 0.38 and published["West Highland white terrier"] == 0.28


def test_a_scene_with_a_kite_is_not_compared_with_the_study(model):
    scenes = load_images("scenes:12")
    kites = tuple(image for image in scenes.images if image.intended.name == "kite")
    assert kites
    *_, whole = evaluate("comparison", model=model, images=ImageSet("kites", kites), num_samples=30, device="cpu")
    assert "study_iou" not in whole["study"].frame
    assert list(whole["measures"].frame["measure"])[-1] == "centre_distance"


@pytest.mark.real
@pytest.mark.slow
def test_the_published_iou_stands_next_to_ours(real_data):
    """The names of the photographs lead to their rows. LIME gets few samples, because only the table is tested."""
    model = load_model(f"file:{real_data / 'models' / 'factories.py'}:imagenet")
    photographs = load_images(str(real_data / "imagenet-samples" / "n0*.JPEG"))
    names = {"n02007558_flamingo.JPEG", "n02123045_tabby.JPEG", "n01608432_kite.JPEG"}
    three = [image for image in photographs.images if image.name in names]
    *_, whole = evaluate(
        "comparison", model=model, images=ImageSet("three", tuple(three)), num_samples=30, segmentation="slic"
    )
    table = whole["study"].frame.set_index("image")
    assert table.loc["n02007558_flamingo.JPEG", "study_iou"] == 0.38
    assert np.isnan(table.loc["n02123045_tabby.JPEG", "study_iou"])
    assert "centre" in table.loc["n02007558_flamingo.JPEG", "gradcam_focus"]
    assert "doubt" in table.loc["n01608432_kite.JPEG", "insight"]
