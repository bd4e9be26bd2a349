"""The result of every setting equals a run of the unmodified library with that setting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stock_lime import on_tensors, stock_lime, stock_weights, toy_model

from xai_eval.errors import UsageError
from xai_eval.explainers.lime.lime_search import Grid, Setting, draws, make_grid, search
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import choose_segmentation
from xai_eval.inputs.steps import Turn
from xai_eval.scenes import render

PIXELS = render(5).pixels[12:84, 12:84]
SEED = 4


def searched_by(predict, grid, pixels=PIXELS, ahead=0):
    return search(pixels, PerturbedImages(predict, 10), grid, Turn(lambda: draws(pixels, grid, SEED), ahead))


@pytest.fixture(scope="module")
def searched():
    calls = []

    def predict(views):
        calls.append(len(views))
        return on_tensors(toy_model())(views)

    found = searched_by(predict, Grid())
    return found, sum(calls)


def stock_cell(setting: Setting):
    named = setting.segmentation != "none"
    return stock_lime(
        PIXELS,
        toy_model(),
        seed=SEED,
        segmentation_fn=choose_segmentation(setting.segmentation, SEED) if named else None,
        num_samples=setting.num_samples,
        num_features=setting.num_features,
        top_labels=setting.top_labels,
        batch_size=setting.batch_size,
    )


def test_settings_equal_the_library_s_own_runs(searched):
    """Each run draws other settings, so that many runs compare all of them."""
    found, _ = searched
    for place in np.random.default_rng().choice(len(Grid().settings), size=6, replace=False):
        setting = Grid().settings[int(place)]
        stock = stock_cell(setting)
        assert list(found.top_labels(setting)) == stock.top_labels, setting
        for label in stock.top_labels:
            weights = found.surrogate(setting, label).weights
            np.testing.assert_allclose(weights, stock_weights(stock, label), rtol=0, atol=1e-9, err_msg=str(setting))


@pytest.mark.slow
def test_few_features_are_those_of_the_library():
    grid = make_grid({"segmentation": "slic", "num_samples": 300, "num_features": (4, 9, 1000)})
    found = searched_by(on_tensors(toy_model()), grid)
    for setting in grid.settings[::9]:
        stock = stock_cell(setting)
        label = stock.top_labels[0]
        weights = found.surrogate(setting, label).weights
        np.testing.assert_allclose(weights, stock_weights(stock, label), rtol=0, atol=1e-9)


@settings(max_examples=8)
@given(st.permutations(Grid().segmentation), st.integers(1, 4), st.integers(2, 30), st.integers(1, 2))
def test_what_is_cut_while_the_model_works_gives_the_same_predictions(names, count, samples, ahead):
    grid, predict, pixels = Grid(tuple(names[:count]), (samples,)), on_tensors(toy_model()), PIXELS[20:44, 30:54]
    one, other = (searched_by(predict, grid, pixels, each).neighbourhoods for each in (0, ahead))
    assert list(one) == list(other) == names[:count]
    for name in one:
        for part in ("segments", "samples", "probabilities"):
            np.testing.assert_array_equal(getattr(other[name], part), getattr(one[name], part))


def test_predictions_are_shared_by_all_settings(searched):
    _, predicted = searched
    assert predicted <= 4 * 700
    assert sum(setting.num_samples for setting in Grid().settings) == 194_400


def test_the_study_s_grid_has_324_settings():
    assert len(set(Grid().settings)) == len(Grid().settings) == 324


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_sample": 3}, "num_samples"),
        ({"segmentation": "slick"}, "slic"),
        ({"num_samples": []}, "at least one value"),
        ({"num_samples": [5, 5]}, "each once"),
        ({"num_samples": 0}, "at least 2"),
        ({"num_samples": "many"}, "type int"),
        ({"batch_size": 2.5}, "type int"),
    ],
)
def test_grids_that_make_no_sense_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        make_grid(values)
