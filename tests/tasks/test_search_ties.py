"""What wins a search if two settings are nearly equal: a swap of the two is told, and any other winner fails."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from xai_eval import evaluate
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.metrics.search import Objective, mean_ranks, trust
from xai_eval.result.fields.possible import Possible
from xai_eval.tasks.studies import search_scores
from xai_eval.tasks.ties.possible_winners import combinations, possible_overall, possible_trust, value_bounds

ROUNDING = 4e-5
HIGHER = Objective("any", 1)
# Settings with other top labels give the same explanation.
GRID = {
    "segmentation": ["slic"],
    "num_samples": [40, 60],
    "num_features": [15_000],
    "top_labels": [3, 4, 5, 6, 7],
    "batch_size": [10],
}


def searched(insertions, images="scenes:1"):
    """Search among two settings whose insertion is as given, on every image."""
    stock, told = search_scores.faithfulness, iter(insertions * 9)

    def told_ones(*args):
        curves = stock(*args)
        return dataclasses.replace(curves, insertion_curve=np.full_like(curves.insertion_curve, next(told)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_scores, "faithfulness", told_ones)
        return list(evaluate("lime_search", model="scenes:objects", images=images, device="cpu", grid=GRID))


@pytest.fixture(scope="module")
def goldens():
    return [each.condensed() for each in searched([0.5, 0.500005])]


@pytest.mark.slow
def test_a_swap_of_settings_that_are_tied_within_rounding_is_told(goldens):
    image, whole = (judge(*pair) for pair in zip(searched([0.500005, 0.5]), goldens, strict=True))
    assert image.state is State.OK and "Tied within rounding" in image.sentence and "So LIME cannot" in image.sentence
    assert whole.state is State.OK and "Tied within rounding" in whole.sentence


@pytest.mark.slow
def test_a_winner_that_was_not_tied_fails(goldens):
    for verdict in map(judge, searched([0.5005, 0.5]), goldens):
        assert verdict.state is State.DRIFT and verdict.severity.label == "conclusion"


@pytest.mark.slow
def test_what_a_golden_claims_to_be_possible_has_no_effect(goldens):
    tied = [each.condensed() for each in searched([0.5, 0.500005])]
    assert all(not each["best"].choices for each in tied)


@pytest.mark.slow
def test_settings_that_are_tied_have_their_map_compared_if_the_winner_is_the_same(goldens):
    [image, _] = searched([0.5, 0.500005])
    assert judge(image, goldens[0]).sentence == "The explanation matches its golden."


# --- by construction -------------------------------------------------------------------------------------------------

values_of_settings = st.lists(st.integers(0, 12), min_size=2, max_size=6)


@settings(max_examples=40)
@given(values_of_settings, st.integers(0, 2**32 - 1), st.sampled_from([1, -1]))
def test_whatever_rounding_does_the_winner_was_possible(steps, seed, sign):
    """Values stand on a grid of half of what rounding may do, so that many are tied and many are not."""
    values = 1.0 - np.array(steps) * ROUNDING / 2
    bounds = value_bounds(values, [None] * len(values), sign, ROUNDING)
    moved = values + ROUNDING * np.abs(values).max() * np.random.default_rng(seed).uniform(-1, 1, len(values))
    assert int(np.argmax(sign * moved)) in bounds.winners
    best, worst = bounds.ranks
    ranks = rankdata(-sign * moved)
    assert (best <= ranks).all() and (ranks <= worst).all()


@settings(max_examples=40)
@given(values_of_settings)
def test_a_setting_that_is_worse_by_more_than_two_roundings_cannot_win(steps):
    values = 1.0 - np.array(steps) * ROUNDING
    winners = value_bounds(values, [None] * len(values), 1, ROUNDING).winners
    assert set(winners) == set(np.flatnonzero(values >= values.max() - 2.000001 * ROUNDING * values.max()))


@settings(max_examples=40)
@given(st.lists(values_of_settings.filter(lambda each: len(each) == 4), min_size=1, max_size=4), st.integers(0, 99))
def test_whatever_rounding_does_the_best_of_all_images_was_possible(steps, seed):
    values = 1.0 - np.array(steps) * ROUNDING / 2
    every = [value_bounds(each, [None] * 4, 1, ROUNDING) for each in values]
    moved = values + 0.5 * ROUNDING * np.random.default_rng(seed).uniform(-1, 1, values.shape)
    ranks = mean_ranks(moved, HIGHER)
    assert set(np.flatnonzero(ranks == ranks.min())) <= set(possible_overall(every))


@settings(max_examples=40)
@given(values_of_settings, st.integers(0, 99))
def test_the_trust_in_an_objective_lies_within_its_bounds_at_the_values_themselves(steps, seed):
    values = 1.0 - np.array(steps) * ROUNDING / 2
    truth = np.random.default_rng(seed).permutation(len(values)) / len(values)
    bounds = [value_bounds(each, [None] * len(values), 1, ROUNDING) for each in (values, truth)]
    found = possible_trust(*bounds, trust(values, truth, HIGHER))
    moved = trust(values + 0.4 * ROUNDING * np.sign(truth - 0.5), truth, HIGHER)
    assert found is None or np.isnan(moved) or found.low - 1e-9 <= moved <= found.high + 1e-9


def test_a_value_that_jumps_is_possible_within_its_range():
    bounds = value_bounds(np.array([0.5, 0.6]), [Possible(0.5, 0.7), None], 1, ROUNDING)
    assert list(bounds.winners) == [0, 1]
    # What could be anything excuses nothing.
    assert list(value_bounds(np.array([0.3, 0.6]), [Possible(0.0, 1.0), None], 1, ROUNDING).winners) == [1]


def test_settings_of_one_explanation_share_their_mean_rank():
    bounds = value_bounds(np.array([0.9, 0.9, 0.5]), [None] * 3, 1, ROUNDING)
    same = type(bounds)(bounds.low, bounds.high, np.array([0, 0, 1]))
    assert [each.tolist() for each in same.ranks] == [[1.5, 1.5, 3.0], [1.5, 1.5, 3.0]]


def test_values_that_are_not_known_win_nothing():
    bounds = value_bounds(np.array([np.nan, 0.2]), [None, None], 1, ROUNDING)
    assert list(bounds.winners) == [1]
    assert not len(value_bounds(np.array([np.nan, np.nan]), [None, None], 1, ROUNDING).winners)


def test_of_many_tied_settings_each_alone_and_all_together_are_listed():
    assert len(combinations("abc")) == 7 and len(combinations("abcdefgh")) == 9
