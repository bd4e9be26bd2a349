"""Real photographs and a real network, where the data root has them."""

import pytest

from xai_eval import evaluate, load_model

pytestmark = [pytest.mark.real, pytest.mark.slow]

# What the network says of each photograph was read from its published labels, not from this code.
PREDICTED = {
    "n01443537_goldfish": 1,
    "n02007558_flamingo": 130,
    "n01608432_kite": 989,
    "n02123045_tabby": 285,
    "n04037443_racer": 817,
}


@pytest.fixture(scope="module")
def model(real_data):
    return load_model(f"file:{real_data / 'models' / 'factories.py'}:imagenet")


@pytest.fixture(scope="module")
def photographs(model):
    results = evaluate("cams", model=model, images="imagenet-samples", device="cpu", methods=["gradcam"])
    return {result.case.input.split("/")[1].removesuffix(".JPEG"): result for result in results}


@pytest.mark.parametrize("name", PREDICTED)
def test_predictions_are_the_published_ones(name, photographs):
    assert photographs[name]["predicted"].index == PREDICTED[name]


@pytest.mark.parametrize("name", ["n01608432_kite", "n02123045_tabby", "n04037443_racer"])
def test_the_audit_warns_where_the_model_sees_something_else(name, photographs):
    result = photographs[name]
    assert result["intended"].text in result["audit"].text
    assert result["predicted"].text in result["audit"].text


def test_the_audit_is_silent_where_all_agree(photographs):
    assert photographs["n02007558_flamingo"]["audit"].text is None


def test_gradcam_points_into_the_object(model):
    results = evaluate("cams", model=model, images="object-masks", device="cpu", methods=["gradcam"])
    hits = [bool(result["table"].frame["pointing_hit"].iloc[0]) for result in results]
    assert len(hits) == 11
    assert sum(hits) >= 9
