import json

import numpy as np
import pandas as pd
import pytest
import torch
from stock_lime import stock_lime, stock_weights
from torch import nn

from xai_eval import evaluate, load_model
from xai_eval.errors import InputUnavailable, ModelMisbehaves, UsageError
from xai_eval.explainers.lime.probabilities import probabilities
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.metrics.localisation import pointing_hit

FEW = {"num_samples": 60, "seeds": 2, "images": "scenes:1", "device": "cpu"}


@pytest.fixture(scope="module")
def model():
    return load_model("scenes:objects", device="cpu")


@pytest.fixture(scope="module")
def result(model):
    (result,) = evaluate("lime", model=model, **FEW)
    return result


def test_weights_are_the_library_s_on_the_bundled_model(model, result):
    """The reference is the mean over two seeds of the weights that lime itself gives for the view."""
    predict = probabilities(model)
    from xai_eval.explainers.lime.segmentation import choose_segmentation

    options = {"segmentation_fn": choose_segmentation("quickshift", 0), "num_samples": 60}
    runs = [
        stock_lime(result["image"].array, lambda v: predict(torch.from_numpy(v)).numpy(), seed=seed, **options)
        for seed in (0, 1)
    ]
    label = result["explained"].index
    expected = np.mean([stock_weights(run, label) for run in runs], axis=0)
    by_superpixel = result["weights"].of(str(result["explained"]))
    painted = by_superpixel[result["segments"].array]
    np.testing.assert_allclose(painted, expected[runs[0].segments], atol=1e-5)  # single precision, other batches


def test_the_result_holds_stability_fit_and_number_of_samples(result):
    assert list(result["surrogates"].frame.columns) == ["class", "probability", "prediction", "intercept", "r2"]
    assert len(result["surrogates"].frame) == len(result["weights"].names) == 5
    measures = result["stability"].frame.set_index("measure")["value"]
    assert measures["seeds"] == 2 and measures["superpixels"] == result["segments"].count
    assert 0 <= measures["least IoU of the best 5"] <= measures["mean IoU of the best 5"] <= 1
    assert list(result["table"].frame["method"]) == ["lime", "gradcam"]


def test_a_result_is_ok_against_its_golden(result):
    assert judge(result, result.condensed()).state is State.OK


def test_too_few_samples_give_a_warning(model):
    (result,) = evaluate("lime", model=model, **FEW, segmentation="slic")
    assert "fewer than 10 samples per superpixel" in result["warning"].text


def test_another_seed_is_reported_as_another_experiment(model, result):
    (other,) = evaluate("lime", model=model, **FEW, seed=7)
    assert not np.array_equal(other["weights"].values, result["weights"].values)
    verdict = judge(other, result)
    assert verdict.state is State.INCOMPARABLE
    assert verdict.reason.endswith("segmentation rng 0 -> 7.")


def test_a_class_outside_the_top_gets_weights_too(model):
    (result,) = evaluate("lime", model=model, **FEW, target="umbrella", top_labels=1)
    assert str(result["explained"]) in result["weights"].names
    assert len(result["weights"].names) == 2


def plain_model(last=None):
    """A model whose class depends on the colour of the image."""
    body = [nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    torch.manual_seed(0)
    module = nn.Sequential(*body, *([last] if last else []))
    return Classifier("toy", module, fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3), ("a", "b", "c"))


def plain_image():
    return ImageSet("plain", (LabelledImage("grey", np.full((32, 32, 3), 90, np.uint8), "0" * 64),))


def test_an_image_of_one_colour_gives_a_warning():
    (result,) = evaluate("lime", model=plain_model(), images=plain_image(), num_samples=20, seeds=2)
    assert result["lime"].degenerate == "all zero"
    assert np.abs(result["weights"].values).max() < 1e-9
    if result["segments"].count == 1:
        assert "a single superpixel" in result["warning"].text


def test_where_no_weight_differs_from_zero_no_spread_can_be_a_share_of_the_largest():
    """All samples have the probability 1.0 exactly, so no superpixel explains anything, with any seed."""
    certain = plain_model()
    torch.nn.init.constant_(certain.module[-1].bias[:1], 500.0)
    gradient = np.add.outer(np.arange(32), np.arange(32))[..., None] * (1, 3, 2)
    images = ImageSet("coloured", (LabelledImage("gradient", gradient.astype(np.uint8), "0" * 64),))
    (result,) = evaluate("lime", model=certain, images=images, num_samples=20, seeds=2)
    measures = result["stability"].frame.set_index("measure")["value"]
    assert np.all(result["weights"].values == 0) and result["segments"].count == measures["superpixels"]
    assert np.isnan(measures["mean spread of a weight"]) and np.isnan(measures["largest spread of a weight"])
    assert measures["least IoU of the best 5"] == 1.0


def test_a_single_superpixel_is_explained_with_a_warning(model):
    (result,) = evaluate(
        "lime", model=model, **FEW, segmentation="felzenszwalb", segmentation_parameters={"scale": 1e9}
    )
    assert result["segments"].count == 1
    assert "a single superpixel" in result["warning"].text
    assert result["lime"].degenerate in {"constant", "all zero"}


def test_fewer_samples_than_superpixels_are_explained_with_a_warning(model):
    (result,) = evaluate("lime", model=model, images="scenes:1", device="cpu", num_samples=20, segmentation="slic")
    assert result["segments"].count > 20
    assert "fewer than 10 samples" in result["warning"].text


def test_a_model_that_returns_probabilities_gets_no_second_softmax():
    logits, probabilities = (
        evaluate("lime", model=plain_model(last), images=plain_image(), num_samples=20)[0]
        for last in (None, nn.Softmax(dim=1))
    )
    assert np.allclose(probabilities["top5"].values, logits["top5"].values, rtol=0, atol=1e-6)
    assert np.allclose(probabilities["lime"].array, logits["lime"].array, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_samples": 1},
        {"seeds": 0},
        {"segmentation": "slick"},
        {"segmentation": "slic", "segmentation_parameters": {"n": 3}},
        {"layer": "layer9"},
        {"target": "dragon"},
    ],
)
def test_bad_parameters_are_refused_before_anything_is_computed(model, wrong):
    with pytest.raises(UsageError):
        evaluate("lime", model=model, **{**FEW, **wrong})


def test_the_setting_of_a_search_is_used(model, tmp_path):
    grid = {"segmentation": ["slic", "quickshift"], "num_samples": [30, 60]}
    *_, overall = evaluate("lime_search", model=model, images="scenes:1", device="cpu", grid=grid)
    file = tmp_path / "best.json"
    file.write_text(json.dumps(overall["best"].content))
    (result,) = evaluate("lime", model=model, images="scenes:1", device="cpu", seeds=1, setting=str(file))
    chosen = overall["best"].content["images"]["scenes/scene-00"]
    assert result.case.params["segmentation"]["name"] == chosen["segmentation"]
    assert result.case.params["num_samples"] == chosen["num_samples"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"overall": {"segmentation": "slic"}}'])
def test_a_file_without_a_valid_setting_is_refused(model, tmp_path, content):
    file = tmp_path / "best.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=r"best\.json"):
        evaluate("lime", model=model, **FEW, setting=str(file))


def test_a_setting_that_is_missing_is_unavailable(model, tmp_path):
    with pytest.raises(InputUnavailable, match="nowhere"):
        evaluate("lime", model=model, **FEW, setting=str(tmp_path / "nowhere.json"))


def test_the_tables_of_a_search_show_which_settings_are_tied(model):
    grid = {"segmentation": "slic", "num_samples": [30, 60], "batch_size": [5, 10], "num_features": [7, 20000, 25000]}
    one, overall = evaluate("lime_search", model=model, images="scenes:1", device="cpu", grid=grid)
    frame = one["settings"].frame
    assert frame["tied_settings"].sum() == 2 * 2 * 3 * 3
    assert set(frame["features"]) == {7, int(frame["superpixels"].max())}
    winners = one["winners"].frame
    assert (winners["tied_settings"] >= 3).all()
    assert overall.case.input == "scenes (1 image)"
    objectives = overall["objectives"].frame.set_index("objective")
    assert objectives.loc["iou_mask", "agrees_with_mask"] == pytest.approx(1.0) or pd.isna(
        objectives.loc["iou_mask", "agrees_with_mask"]
    )


@pytest.mark.parametrize("wrong", [{"objective": "beauty"}, {"grid": {"colour": 3}}])
def test_bad_searches_are_refused(model, wrong):
    with pytest.raises(UsageError):
        evaluate("lime_search", model=model, images="scenes:1", device="cpu", **wrong)


def test_without_masks_no_setting_wins_by_iou_with_the_mask():
    grid = {"segmentation": "slic", "num_samples": [10, 20]}
    _, overall = evaluate("lime_search", model=plain_model(), images=plain_image(), grid=grid)
    frame = overall["objectives"].frame.set_index("objective")
    assert frame.loc["iou_mask", "best_overall"] is None
    assert frame.loc["r2", "best_overall"] is not None


class WithoutGradients(nn.Module):
    """A network in whose forward no gradient passes, until it lets them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
        )
        self.lets_pass = False

    def forward(self, x):
        with torch.set_grad_enabled(self.lets_pass and torch.is_grad_enabled()):
            return self.net(x)


@pytest.fixture(scope="module")
def without_and_with():
    found = []
    for lets_pass in (False, True):
        module = WithoutGradients()
        module.lets_pass = lets_pass
        model = Classifier("toy", module, fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3), ("a", "b", "c"))
        found += evaluate("lime", model=model, images="scenes:1", num_samples=20, seeds=2, segmentation="slic")
    return found


def test_without_gradients_there_is_no_grad_cam_and_the_result_says_so(without_and_with):
    without, beside = without_and_with
    assert "gradcam" in beside.fields and "remarks" not in beside.fields
    assert "gradcam" not in without.fields and "no gradient reaches the explained layer" in without["remarks"].text
    assert judge(without, without.condensed()).state is State.OK
    assert "remarks" not in without.condensed().fields, "a remark is for reading, so that a golden does not keep it"
    np.testing.assert_array_equal(without["weights"].values, beside["weights"].values)


def test_a_grad_cam_that_is_lost_is_told(without_and_with):
    without, beside = without_and_with
    verdict = judge(without, beside.condensed())
    assert verdict.state is State.INCOMPARABLE and verdict.reason.endswith("layer net.0 -> none.")


def test_a_grad_cam_that_is_gained_is_unwatched_with_its_row(without_and_with):
    without, beside = without_and_with
    verdict = judge(beside, without.condensed())
    assert verdict.state is State.OK, verdict.sentence
    assert {"field gradcam", "row gradcam of table", "stage final map of gradcam"} <= set(map(str, verdict.unwatched))


def test_how_well_lime_points_does_not_depend_on_a_grad_cam_beside_it(without_and_with):
    """The cells of the layer are coarser than a fourteenth of the image, and would allow another margin."""
    of_lime = [result["table"].frame.set_index("method").loc["lime"].to_dict() for result in without_and_with]
    assert of_lime[0] == of_lime[1]
    (without, _), mask = without_and_with, without_and_with[0]["mask"].array
    assert of_lime[0]["pointing_hit"] == pointing_hit(without["lime"].array, mask, (2, 2))


def test_a_layer_that_was_named_is_not_left_out_in_silence():
    model = Classifier("toy", WithoutGradients(), fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3), ("a", "b", "c"))
    with pytest.raises(ModelMisbehaves, match="leave it out: LIME itself needs none"):
        evaluate("lime", model=model, images="scenes:1", layer="net.0")
