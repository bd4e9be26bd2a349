"""The suite itself: what the units of the two bundled models stand for, held against the goldens."""

import pytest

from xai_eval import evaluate

# One worker dissects for all of these.
MODELS = ("scenes:objects", "scenes:places", "scenes:objects and scenes:places")


@pytest.fixture(scope="session")
def dissected():
    """Results by model."""
    return {result.case.model: result for result in evaluate("dissection", device="cpu")}


@pytest.mark.xai
@pytest.mark.parametrize("model", MODELS)
def test_model_against_its_golden(model, dissected, xai_golden):
    xai_golden.check(dissected[model])


def test_every_case_is_held_against_a_golden(dissected):
    assert tuple(dissected) == MODELS


@pytest.mark.parametrize("method", ["clip", "pixel"])
def test_a_model_of_objects_has_more_units_for_objects(method, dissected):
    """Same architecture, same images: what was learned differs as what was taught."""
    shares = []
    for model in MODELS[:2]:
        concepts = dissected[model][f"{method}_concepts"].frame
        shares.append(concepts.loc[concepts["kind"] == "object", "layer4"].sum() / concepts["layer4"].sum())
    assert shares[0] > shares[1] + 0.3, shares


@pytest.mark.parametrize("method", ["clip", "pixel"])
def test_the_models_are_told_apart(method, dissected):
    difference = dissected[MODELS[2]][f"{method}_difference"].frame.set_index("layer")
    assert difference.loc["layer4", "p_value"] < 0.01
    assert difference.loc["layer4", "distance"] > difference.loc["layer4", "expected_by_chance"]


def test_interpretable_units_are_more_than_chance_makes(dissected):
    for model in MODELS[:2]:
        layers = dissected[model]["layers"].frame
        assert (layers["interpretable"] > 5 * layers["interpretable_by_chance"]).all()
        assert (layers["kappa"] > 0.1).all(), "the two methods agree beyond chance"
